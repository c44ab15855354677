"""Models: found by name, checked before they are loaded, verified after, and let go when memory is needed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import ctranslate2
import pytest

from speech.errors import DeviceError, ModelError
from speech.stt import DecodeOptions, ModelPool, Recognizer
from speech.stt.hub import DEMO, find_folder, offered, pull, pulled, repository, resolve_alias

from .conftest import SAMPLES


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "preprocessor_config.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(DEMO, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=missing.replace(".", r"\.")) as caught:
        Recognizer.load(folder)
    assert caught.value.code == "model_incomplete"


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(DEMO, tmp_path / "model")
    (folder / "model.bin").write_bytes((DEMO / "model.bin").read_bytes()[:100_000])
    with pytest.raises(ModelError, match=str(folder)) as caught:
        Recognizer.load(folder)
    assert caught.value.code == "model_damaged"

    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json is not JSON"):
        Recognizer.load(folder)


@pytest.mark.parametrize("name", ["no such model", "/no/such/folder", "./models/nothing"])
def test_an_unknown_name_says_what_is_known(name: str) -> None:
    with pytest.raises(ModelError, match="large-v3-turbo"):
        Recognizer.load(name, download=False)


def test_a_hub_name_that_was_not_pulled_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="models pull large-v3-turbo"):
        find_folder("large-v3-turbo", cache=tmp_path, download=False)


def test_without_a_hub_a_pull_fails_with_the_cure_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="copy the folder"):
        pull("tiny", cache=tmp_path)
    assert list((tmp_path / "stt").iterdir()) == []


def test_a_pulled_model_is_found_by_size_and_by_repository(tmp_path: Path) -> None:
    name = repository("large-v3-turbo")
    assert name is not None
    kept = tmp_path / "stt" / name.replace("/", "--", 1)
    shutil.copytree(DEMO, kept)
    assert find_folder("large-v3-turbo", cache=tmp_path) == find_folder(name, cache=tmp_path) == kept
    assert pulled(tmp_path) == [name]


def test_openais_name_means_the_configured_model() -> None:
    assert [resolve_alias(name, "demo") for name in (None, "whisper-1", "default", "small")] == ["demo"] * 3 + ["small"]


def test_device_and_compute_type_are_what_was_asked_for() -> None:
    for asked, runs in (("int8", "int8_float32"), ("float32", "float32"), ("default", "int8_float32")):
        report = Recognizer.load("demo", compute_type=asked).report()
        assert (report["device"], report["precision"]) == ("cpu", runs)
        assert report["load_seconds"] > 0


def test_a_compute_type_that_cannot_be_had_is_refused() -> None:
    possible = ctranslate2.get_supported_compute_types("cpu")
    impossible = next(kind for kind in ("float16", "bfloat16", "int16") if kind not in possible)
    with pytest.raises(DeviceError, match="use one of") as caught:
        Recognizer.load("demo", compute_type=impossible)
    assert caught.value.code == "bad_compute_type"


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_cpu() -> None:
    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a CUDA device here; its absence cannot be tested")
    with pytest.raises(DeviceError):
        Recognizer.load("demo", device="cuda")


def test_an_unloaded_model_comes_back_with_the_same_words() -> None:
    recognizer = Recognizer.load("demo", threads=1)
    path = SAMPLES / "demo_M7_neutral.wav"
    chunks = list(recognizer.prepare(path))
    before = recognizer.decode(chunks)
    assert recognizer.unload()
    assert not recognizer.loaded
    assert [chunk.unit for chunk in recognizer.prepare(path)] == [chunk.unit for chunk in chunks]
    recognizer.reload()
    assert recognizer.decode(chunks) == before


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def folders(root: Path, names: str) -> dict[str, Path]:
    return {name: shutil.copytree(DEMO, root / name) for name in names}


def test_the_least_recently_used_model_leaves_when_memory_is_full(tmp_path: Path) -> None:
    clock, places = Clock(), folders(tmp_path, "abc")
    room = 2 * (DEMO / "model.bin").stat().st_size
    pool = ModelPool(lambda name: Recognizer.load(places[name]), default="a", max_bytes=room, clock=clock)
    for name in ("a", "b", "a", "c"):
        clock.now += 1
        with pool.use(name) as recognizer:
            assert recognizer.loaded
    assert set(pool.loaded()) == {"a", "c"}

    clock.now += 1
    with pool.use("a"):
        clock.now += 1
        with pool.use("b") as recognizer:
            assert recognizer.loaded
        assert set(pool.loaded()) == {"a", "b"}, "a model in use stays"
    assert sum(pool.loaded().values()) <= room


def test_an_idle_model_leaves_and_comes_back_on_demand(tmp_path: Path) -> None:
    clock, places = Clock(), folders(tmp_path, "a")
    pool = ModelPool(lambda name: Recognizer.load(places[name]), default="a", idle_seconds=10, clock=clock)
    with pool.use("whisper-1") as recognizer:
        clock.now = 100
        assert pool.unload_idle() == []
    clock.now = 109
    assert pool.unload_idle() == []
    clock.now = 110
    assert pool.unload_idle() == ["a"]
    assert pool.loaded() == {}
    assert pool.recognizer() is recognizer
    with pool.use() as again:
        assert again.loaded


def test_threads_that_ask_at_once_load_a_model_once(tmp_path: Path) -> None:
    places, loads = folders(tmp_path, "a"), []

    def load(name: str) -> Recognizer:
        loads.append(name)
        return Recognizer.load(places[name])

    pool = ModelPool(load, default="a")
    start = threading.Barrier(6)
    found: list[Recognizer] = []

    def ask() -> None:
        start.wait()
        found.append(pool.recognizer())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["a"]
    assert len(set(map(id, found))) == 1


def test_a_pool_hears_files_with_the_model_each_asked_for(tmp_path: Path, random_folder: Path) -> None:
    places = {"demo": DEMO, "owner/other": random_folder}
    pool = ModelPool(
        lambda name: Recognizer.load(places[name], threads=2), default="demo", max_bytes=1, offered=lambda: places
    )
    options = DecodeOptions(language="zh", temperature=0.0)
    preparations = [
        pool.prepare(SAMPLES / "demo_M7_neutral.wav", options, model=m) for m in (None, "owner/other", "whisper-1")
    ]
    chunks = [list(each) for each in preparations]
    assert pool.bucket(chunks[0][0]) == pool.bucket(chunks[2][0]) != pool.bucket(chunks[1][0])

    results = iter(pool.decode([chunk for each in chunks for chunk in each]))
    heard = [
        pool.assemble(preparation, [next(results) for _ in each]).text
        for preparation, each in zip(preparations, chunks, strict=True)
    ]
    assert heard[0] == heard[2] == "客厅里有十二把椅子和一张桌子。请打开书，看第十三页。"
    assert heard[1] != heard[0]
    assert len(pool.loaded()) == 1, "there is room for one only"
    assert set(pool.reports()) == set(places)


def test_a_model_that_is_not_offered_is_refused_with_those_that_are(tmp_path: Path) -> None:
    pool = ModelPool(Recognizer.load, default="demo", offered=lambda: offered("demo", tmp_path))
    with pytest.raises(ModelError, match="use one of demo"):
        pool.prepare(SAMPLES / "demo_M7_neutral.wav", model="/etc")
