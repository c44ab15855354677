"""What a worker counts for good, and what it says of its GPU."""

import shutil
import sys
from types import SimpleNamespace

import pytest

from jobs.figures import Figures
from workers import gpu
from workers.reporting import Reporter


def reporter_of(redis, scheduler):
    sweeper = SimpleNamespace(recovered=2, resent=1)
    tidier = SimpleNamespace(orphans=0, without_files=0)
    return Reporter(SimpleNamespace(kind="tts", redis=redis, scheduler=scheduler, sweeper=sweeper, tidier=tidier))


def test_what_engines_did_outlives_the_processes_and_is_counted_once(redis, dummy_engine, scheduler_of):
    for restarts in (1, 2):
        scheduler = scheduler_of(dummy_engine(bad=[7]))
        for payload in (3, 5, 7):
            future = scheduler.submit(payload, job=str(payload), priority=0)
            future.exception(30)
        reporter = reporter_of(redis, scheduler)
        for _ in range(3):  # a report every two seconds
            reporter._count()
        stats, found = scheduler.stats(), Figures(redis).picture().engines["tts"]
        assert found["units"] == 3 * restarts
        assert found["failed_units"] == restarts
        assert found["loads"] == stats.loads * restarts
        assert found["recovered"] == 2 * restarts
        assert sum(value for name, value in found.items() if name.startswith("rows:")) == stats.batches * restarts
        assert found["cost"] == stats.cost * restarts
        assert stats.padding == 0, "each ran alone"


class Nvml:
    """Stands where NVIDIA's library stands: there is no GPU here."""

    NVMLError = RuntimeError

    def __init__(self, fails=False):
        self.fails = fails
        self.asked = []

    def nvmlInit(self):
        if self.fails:
            raise RuntimeError("driver not loaded")

    def nvmlDeviceGetHandleByIndex(self, index):
        self.asked.append(index)
        return index

    def nvmlDeviceGetHandleByUUID(self, name):
        self.asked.append(name)
        return name

    def nvmlDeviceGetMemoryInfo(self, _):
        return SimpleNamespace(used=3 * 1024**3, total=80 * 1024**3)

    def nvmlDeviceGetUtilizationRates(self, _):
        return SimpleNamespace(gpu=75)


@pytest.fixture
def nvml_of(monkeypatch):
    def install(**options):
        library = Nvml(**options)
        monkeypatch.setitem(sys.modules, "pynvml", library)
        monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda _: object())
        gpu._handle.cache_clear()
        gpu._warn_once.cache_clear()
        return library

    yield install
    gpu._handle.cache_clear()


@pytest.mark.parametrize(("visible", "asked"), [("1", 1), ("GPU-abc,GPU-def", "GPU-abc")])
def test_the_gpu_is_the_one_that_the_process_is_pinned_to(nvml_of, monkeypatch, visible, asked):
    library = nvml_of()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.gpu_figures("cuda") == {
        "gpu_memory_used_bytes": 3 * 1024**3,
        "gpu_memory_total_bytes": 80 * 1024**3,
        "gpu_utilization_ratio": 0.75,
    }
    assert library.asked == [asked]


def test_without_a_gpu_nothing_is_said(nvml_of):
    assert gpu.gpu_figures("cpu") == {}
    nvml_of(fails=True)
    assert gpu.gpu_figures("cuda") == {}


def test_a_part_of_a_gpu_tells_its_memory_though_not_its_use(nvml_of, monkeypatch, caplog):
    """With MIG the driver refuses to say how busy it is."""
    library = nvml_of()

    def refuse(_):
        raise library.NVMLError("Not Supported")

    monkeypatch.setattr(library, "nvmlDeviceGetUtilizationRates", refuse)
    for _ in range(3):  # a report every two seconds
        assert set(gpu.gpu_figures("cuda")) == {"gpu_memory_used_bytes", "gpu_memory_total_bytes"}
    assert [record.getMessage() for record in caplog.records] == [
        "the GPU does not tell its utilisation: Not Supported"
    ]


@pytest.mark.gpu
def test_a_real_gpu_tells_its_memory():
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA driver: the figures of a real GPU are not tested here")
    found = gpu.gpu_figures("cuda")
    assert 0 < found["gpu_memory_used_bytes"] <= found["gpu_memory_total_bytes"]
    assert 0 <= found.get("gpu_utilization_ratio", 0) <= 1, "missing with MIG"
