"""Slots: what an operator may write, the names and shares that follow, and the environment of each process."""

import os

import pytest

from workers.slots import SHARE_VARIABLE, count_cores, count_gpus, parse_slots, threads_per_slot


def labels(text, **options):
    return [slot.label for slot in parse_slots(text, **options)]


@pytest.mark.parametrize(
    ("text", "device", "gpus", "expected"),
    [
        ("tts,stt,cpu", "cpu", 8, ["tts-cpu", "stt-cpu", "cpu"]),
        ("tts,stt,cpu", "auto", 0, ["tts-cpu", "stt-cpu", "cpu"]),
        ("tts,stt,cpu", "auto", 1, ["tts-gpu0", "stt-gpu0", "cpu"]),
        ("tts,tts,stt,stt,cpu", "auto", 2, ["tts-gpu0", "tts-gpu1", "stt-gpu0", "stt-gpu1", "cpu"]),
        ("tts,stt", "cuda", 0, ["tts-gpu0", "stt-gpu0"]),  # the process then says what is missing
        ("tts@0,stt@1,cpu", "auto", 0, ["tts-gpu0", "stt-gpu1", "cpu"]),
        ("tts@0, stt@cpu , cpu", "cuda", 1, ["tts-gpu0", "stt-cpu", "cpu"]),
        ("stt@cpu,stt@cpu,cpu,cpu", "auto", 0, ["stt-cpu", "stt-cpu-2", "cpu", "cpu-2"]),
        ("tts@0,tts@0", "auto", 1, ["tts-gpu0", "tts-gpu0-2"]),
    ],
)
def test_slots_and_their_names(text, device, gpus, expected):
    assert labels(text, device=device, gpus=lambda: gpus) == expected


def test_the_node_name_carries_the_host():
    assert parse_slots("tts@0")[0].name("box") == "tts-gpu0@box"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tts@0", [1.0]),
        ("tts@0,stt@0", [0.5, 0.5]),
        ("tts@0:0.6,stt@0", [0.6, 0.4]),
        ("tts@0:0.6,stt@0:0.2,stt@1", [0.6, 0.2, 1.0]),
        ("tts@0:.5,stt@0,stt@0", [0.5, 0.25, 0.25]),
    ],
)
def test_slots_of_one_gpu_share_its_memory(text, expected):
    assert [slot.share for slot in parse_slots(text)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one worker"),
        ("tts@gpu", "GPU index or cpu"),
        ("asr@0", "one of tts, stt, cpu"),
        ("tts@0:", "tts@0:0.6"),
        ("tts@0:0", "above 0"),
        ("tts@0:1.5", "at most 1"),
        ("tts@0:0.6,stt@0:0.6", "GPU 0 are 1.2 in all"),
        ("tts@0:1,stt@0", "leave nothing for 1 more"),
        ("tts@cpu:0.5", "needs a GPU"),
        ("cpu@0", "uses no GPU"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_cure(text, message):
    with pytest.raises(ValueError, match=message):
        parse_slots(text, device="cpu")


def test_a_gpu_process_sees_its_gpu_only_and_must_use_it():
    tts, stt = parse_slots("tts@0:0.75,stt@1")
    assert tts.environment(4, {})["CUDA_VISIBLE_DEVICES"] == "0"
    assert stt.environment(4, {})["CUDA_VISIBLE_DEVICES"] == "1"
    assert tts.environment(4, {})["VOXQUEUE_DEVICE"] == "cuda"
    assert tts.environment(4, {})["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert tts.environment(4, {})[SHARE_VARIABLE] == "0.75"


def test_indexes_count_within_the_gpus_that_the_host_may_use():
    outer = {"CUDA_VISIBLE_DEVICES": "3,GPU-8932f937"}
    first, second = parse_slots("tts@0,stt@1")
    assert first.environment(1, outer)["CUDA_VISIBLE_DEVICES"] == "3"
    assert second.environment(1, outer)["CUDA_VISIBLE_DEVICES"] == "GPU-8932f937"
    with pytest.raises(ValueError, match=r"no GPU 2 among CUDA_VISIBLE_DEVICES=3,GPU-8932f937"):
        parse_slots("tts@2")[0].environment(1, outer)
    assert [count_gpus({"CUDA_VISIBLE_DEVICES": text}) for text in ("", "-1", "0", "2,5")] == [0, 0, 1, 2]


def test_a_cpu_process_sees_no_gpu_and_its_threads_are_capped():
    environment = parse_slots("stt@cpu")[0].environment(3, {"CUDA_VISIBLE_DEVICES": "0"})
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["VOXQUEUE_DEVICE"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"


def test_engines_divide_the_cores():
    slots = parse_slots("tts@cpu,stt@cpu,cpu")
    assert threads_per_slot(slots, cores=8) == 4
    assert threads_per_slot(slots, cores=1) == 1
    assert threads_per_slot(slots, wanted=6, cores=8) == 6
    assert threads_per_slot(parse_slots("cpu"), cores=8) == 8


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1)])
def test_a_container_with_a_quota_counts_as_so_many_cores(tmp_path, quota, cores):
    (tmp_path / "cpu.max").write_text(quota)
    assert count_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))
    assert count_cores(tmp_path / "none") == len(os.sched_getaffinity(0))
