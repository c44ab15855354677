"""A heap of recordings, good and bad, at once: what a worker does, without the queue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from bench.hearing import character_error_rate
from speech.audio import encode, resample
from speech.errors import AudioError
from speech.stt import DecodeOptions, Recognizer, Transcript
from workers.batching import BatchScheduler

from .conftest import RATE, ROOT

SENTENCES = (ROOT / "models" / "demo" / "domain-sentences.txt").read_text("utf-8").split()[:60]
FORMATS = ("wav", "flac", "mp3", "opus", "m4a", "aac")
RATES = (16_000, 22_050, 44_100, 48_000)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class File:
    path: Path
    text: str = ""
    error: str = ""
    warning: str = ""


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    from speech.tts import Voice

    voice = Voice.load(ROOT / "models" / "demo" / "tts" / "voices" / "demo")
    return voice.synthesize(SENTENCES)


def recordings(folder: Path, spoken: list[np.ndarray]) -> Iterator[File]:
    for number, (text, audio) in enumerate(zip(SENTENCES, spoken, strict=True)):
        kind, rate = FORMATS[number % 6], RATES[number // 6 % 4]
        path = folder / f"{number:02d}-{rate}.{kind}"
        if kind == "opus" and rate not in {16_000, 48_000}:
            rate = 48_000
        encode(path, [resample(audio, RATE, rate)], rate=rate, format=kind)
        yield File(path, text)


def oddities(folder: Path, spoken: list[np.ndarray]) -> Iterator[File]:
    rng = np.random.default_rng(0)
    for name, audio in {"silence": np.zeros(5 * RATE), "noise": rng.standard_normal(5 * RATE) * 0.1}.items():
        encode(folder / f"{name}.wav", [audio.astype(np.float32)], rate=RATE, format="wav")
        yield File(folder / f"{name}.wav")
    (folder / "letter.mp3").write_text("亲爱的，这不是录音。" * 300, encoding="utf-8")
    yield File(folder / "letter.mp3", error="not_media")
    (folder / "nothing.wav").write_bytes(b"")
    yield File(folder / "nothing.wav", error="empty_media")
    both = np.concatenate([spoken[0], np.zeros(RATE // 2, np.float32), spoken[1]])
    encode(folder / "whole.wav", [both], rate=RATE, format="wav")
    whole = (folder / "whole.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: 44 + 2 * (len(spoken[0]) + RATE // 4)])
    yield File(folder / "cut.wav", SENTENCES[0], warning="truncated")
    film(folder / "film.mkv", spoken[2])
    yield File(folder / "film.mkv", SENTENCES[2])
    film(folder / "silent film.mkv", None)
    yield File(folder / "silent film.mkv", error="no_audio_stream")


def film(path: Path, audio: np.ndarray | None) -> None:
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono") if audio is not None else None
        for _ in range(10):
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(picture.encode())
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
            frame.sample_rate = RATE
            container.mux(sound.encode(frame))
            container.mux(sound.encode())


class Engine:
    """The recogniser under the scheduler, as in a worker."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.cost, self.bucket, self.run = recognizer.cost, recognizer.bucket, recognizer.decode


def test_each_good_file_is_right_and_each_bad_one_fails_alone(
    recognizer: Recognizer, spoken: list[np.ndarray], tmp_path: Path
) -> None:
    files = [*recordings(tmp_path, spoken), *oddities(tmp_path, spoken)]
    np.random.default_rng(1).shuffle(files)
    scheduler: BatchScheduler = BatchScheduler(Engine(recognizer), max_cost=sys.maxsize, max_rows=8)
    scheduler.start()

    def job(file: File) -> Transcript | AudioError:
        try:
            preparation = recognizer.prepare(file.path, DecodeOptions())
            opening = [scheduler.submit(chunk, job=file.path.name).result() for chunk in preparation.opening()]
            preparation.settle(opening)
            rest = [scheduler.submit(chunk, job=file.path.name).result() for chunk in preparation]
            return recognizer.assemble(preparation, [*opening, *rest])
        except AudioError as error:
            return error

    with ThreadPoolExecutor(16) as threads:
        heard = dict(zip(files, threads.map(job, files), strict=True))
    batches = scheduler.stats()
    scheduler.stop(drain=True)

    for file, result in heard.items():
        if file.error:
            assert isinstance(result, AudioError), file
            assert result.code == file.error
            assert file.path.name in result.detail
        else:
            assert isinstance(result, Transcript), f"{file}: {result}"
            assert [warning.code for warning in result.warnings] == ([file.warning] if file.warning else []), file
    good = [(file.text, heard[file].text) for file in files if file.text]
    assert character_error_rate(good) <= 0.03
    assert [heard[file].text for file in files if not file.text and not file.error] == ["", ""]
    assert batches.mean_batch_rows > 2, "jobs share batches"


def test_an_hour_is_prepared_in_bounded_memory(tmp_path: Path, spoken: list[np.ndarray]) -> None:
    """An hour is 230 MB as float32: a process that held it would show it."""
    minute = np.resize(np.concatenate([np.pad(audio, (0, 8000)) for audio in spoken[:30]]), 60 * RATE)
    path = tmp_path / "hour.flac"
    encode(path, (minute for _ in range(60)), rate=RATE, format="flac")
    script = (
        "import sys; from pathlib import Path; from speech.stt import Recognizer, DecodeOptions\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "recognizer = Recognizer.load('demo', threads=1)\n"
        "list(zip(range(3), recognizer.prepare(sys.argv[1], DecodeOptions(language='zh'))))\n"
        "before = peak()\n"
        "preparation = recognizer.prepare(sys.argv[1], DecodeOptions(language='zh'))\n"
        "chunks = sum(1 for _ in preparation)\n"
        "print(chunks, preparation.duration, (peak() - before) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    chunks, seconds, grown = map(float, done.stdout.split())
    assert chunks >= 360
    assert seconds == pytest.approx(3600, abs=1)
    assert grown < 60, f"{grown:.0f} MB more than for its first minute"
