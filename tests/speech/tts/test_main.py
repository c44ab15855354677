"""Engines and voices from the command line: JSON lines out, or one line that says what is wrong."""

import json

import pytest
import torch

from speech.tts.__main__ import main
from speech.tts.engines import EngineKey, write_engine


def test_the_list_is_a_json_line_for_each_engine(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path))
    assert main(["engine", "list"]) == 0
    assert capsys.readouterr().out == ""
    key = EngineKey("w", "10.16.1", "NVIDIA A10", "8.6", "float16", 464, 16)
    write_engine(key.file_in(tmp_path / "engines"), key, b"engine")
    assert main(["engine", "list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["gpu"] == "NVIDIA A10"


@pytest.mark.parametrize("command", ["build", "check"])
def test_without_a_gpu_an_engine_is_refused_in_one_line(command, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert main(["engine", command, "demo"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nvidia-smi" in error


def test_a_name_that_is_none_is_refused(capsys):
    assert main(["voices", "pull", "no-such-name"]) == 1
    assert "looks like owner/model" in capsys.readouterr().err
