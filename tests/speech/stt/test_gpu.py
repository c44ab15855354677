"""On a GPU: the same words as on the CPU, in any batch. Skipped, loudly, without one."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import pytest

from speech.stt import DecodeOptions, Recognizer

from .conftest import SAMPLES

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=["float16", "int8_float16", "float32"])
def on_gpu(request: pytest.FixtureRequest) -> Recognizer:
    if not ctranslate2.get_cuda_device_count():
        pytest.skip("no CUDA device: Whisper on a GPU is not tested here")
    if request.param not in ctranslate2.get_supported_compute_types("cuda"):
        pytest.skip(f"this GPU has no {request.param}: Whisper in it is not tested here")
    return Recognizer.load("demo", device="cuda", compute_type=request.param)


def test_a_gpu_hears_what_the_cpu_hears(on_gpu: Recognizer, recognizer: Recognizer) -> None:
    assert on_gpu.report()["device"] == "cuda"
    files: list[Path] = sorted(SAMPLES.glob("*.wav"))
    heard, known = on_gpu.transcribe(files, word_timestamps=True), recognizer.transcribe(files)
    assert [each.text for each in heard] == [each.text for each in known]


def test_rows_of_many_kinds_are_what_they_are_alone(on_gpu: Recognizer) -> None:
    kinds = [
        DecodeOptions(),
        DecodeOptions(language="zh", word_timestamps=True),
        DecodeOptions(language="zh", beam_size=1),
    ]
    chunks = [chunk for kind in kinds for path in sorted(SAMPLES.glob("*.wav")) for chunk in on_gpu.prepare(path, kind)]
    together = on_gpu.decode(chunks)
    assert [each.text for each in together] == [on_gpu.decode([chunk])[0].text for chunk in chunks]
