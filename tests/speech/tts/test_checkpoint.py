"""A bad, foreign or damaged model gives one clear line that names the file and the key."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from speech.errors import ModelError
from speech.tts.acoustic import AcousticInput, load_acoustic
from speech.tts.encoder import position_table
from speech.tts.vocoder import load_vocoder

KEY = "text_encoder.ling_enc.fft.1.slf_attn.w_qkv.weight"


def without(checkpoint, key):
    return {"model": {name: value for name, value in checkpoint["model"].items() if name != key}}


def changed(checkpoint, key, value):
    return {"model": {**checkpoint["model"], key: value}}


def refused(folder):
    with pytest.raises(ModelError) as caught:
        load_acoustic(folder)
    assert "\n" not in caught.value.detail
    assert str(folder) in caught.value.detail
    return caught.value.detail


def test_a_missing_key_is_named(acoustic_fixture_copy):
    folder, checkpoint, save = acoustic_fixture_copy
    save(without(checkpoint, KEY))
    assert f"key {KEY} is missing" in refused(folder)


def test_another_shape_is_named_with_both(acoustic_fixture_copy):
    folder, checkpoint, save = acoustic_fixture_copy
    key = "text_encoder.ling_enc.fft.1.slf_attn.w_qkv.bias"
    save(changed(checkpoint, key, torch.zeros(7)))
    assert "has the shape 7, wanted" in refused(folder)


@pytest.mark.parametrize(
    ("value", "reason"),
    [(torch.full((96, 32), torch.nan), "not finite"), (torch.zeros(96, 32, dtype=torch.int8), "not floating point")],
)
def test_unusable_numbers_are_refused(acoustic_fixture_copy, value, reason):
    folder, checkpoint, save = acoustic_fixture_copy
    assert checkpoint["model"][KEY].shape == value.shape
    save(changed(checkpoint, KEY, value))
    assert reason in refused(folder)


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(acoustic_fixture_copy, tmp_path, monkeypatch):
    folder, _, save = acoustic_fixture_copy
    monkeypatch.chdir(tmp_path)
    save({"model": Harmful()})
    assert "holds more than tensors" in refused(folder)
    (folder / "ckpt" / "checkpoint_0.pth").write_bytes(pickle.dumps(Harmful()))
    refused(folder)
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "checkpoint_0.pth"),
        (b"<html>404</html>", "checkpoint_0.pth"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(acoustic_fixture_copy, content, reason):
    folder, _, _ = acoustic_fixture_copy
    (folder / "ckpt" / "checkpoint_0.pth").write_bytes(content)
    assert reason in refused(folder)


def test_a_cut_off_file_is_refused(acoustic_fixture_copy):
    folder, _, _ = acoustic_fixture_copy
    file = folder / "ckpt" / "checkpoint_0.pth"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "cannot be read" in refused(folder)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"model": {}}, {"model": {"x": 3}}])
def test_another_programs_checkpoint_is_refused(acoustic_fixture_copy, content):
    folder, _, save = acoustic_fixture_copy
    save(content)
    refused(folder)


def test_an_acoustic_checkpoint_is_no_vocoder(vocoder_fixture_copy):
    folder, _, save = vocoder_fixture_copy
    save({"model": {"conv.weight": torch.zeros(1)}})
    with pytest.raises(ModelError, match=r"has no key model\.generator"):
        load_vocoder(folder)


def test_the_checkpoint_with_the_largest_number_is_taken(acoustic_fixture_copy):
    folder, checkpoint, _ = acoustic_fixture_copy
    torch.save({"model": {}}, folder / "ckpt" / "checkpoint_2.pth")
    torch.save(checkpoint, folder / "ckpt" / "checkpoint_10.pth")
    load_acoustic(folder)
    (folder / "ckpt" / "checkpoint_10.pth").unlink()
    assert "checkpoint_2.pth" in refused(folder)


def test_no_checkpoint_at_all(acoustic_fixture_copy):
    folder, _, _ = acoustic_fixture_copy
    (folder / "ckpt" / "checkpoint_0.pth").unlink()
    assert "holds no checkpoint_<number>.pth" in refused(folder)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("Model", "KanTtsSAMBERT", "params", "decoder_num_heads"), 5, "cannot be split into 5 heads"),
        (("Model", "KanTtsSAMBERT", "params", "decoder_num_heads"), "eight", "decoder_num_heads is 'eight'"),
        (("Model", "KanTtsSAMBERT", "params", "num_mels"), 82, "dec_out_proj"),
        (("Model", "KanTtsSAMBERT", "params", "postnet_shift"), [1, 2], "2 shifts"),
        (("linguistic_unit", "speaker_list"), "F7,M7", "spk_tokenizer.weight has 9 rows"),
        (("linguistic_unit", "language"), "ZhHK", "sy_emb.weight has"),
        (("Model", "KanTtsSAMBERT"), None, "KanTtsSAMBERT"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(acoustic_fixture_copy, path, value, reason):
    folder, _, _ = acoustic_fixture_copy
    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(yaml.safe_dump(config))
    assert reason in refused(folder)


def test_no_configuration(acoustic_fixture_copy):
    folder, _, _ = acoustic_fixture_copy
    (folder / "config.yaml").write_text("- [")
    assert "cannot be read as YAML" in refused(folder)
    (folder / "config.yaml").unlink()
    assert "config.yaml is missing" in refused(folder)


def test_embeddings_without_a_mask_row_speak_alike(acoustic_fixture_copy, acoustic_named, difference):
    folder, checkpoint, save = acoustic_fixture_copy
    tables = ["text_encoder.sy_emb", "text_encoder.tone_emb", "text_encoder.syllable_flag_emb"]
    tables += ["text_encoder.ws_emb", "spk_tokenizer", "emo_tokenizer"]
    shorter = {f"{name}.weight": checkpoint["model"][f"{name}.weight"][:-1].clone() for name in tables}
    save({"model": {**checkpoint["model"], **shorter}})
    case = acoustic_named("sambert_multisp_emo_16k")
    for number, spoken in enumerate(load_acoustic(folder)(case.inputs(), 4)):
        assert difference(spoken.mel, case.array(number, "post_mel")) < 1e-4


def test_a_longer_position_table_speaks_alike(acoustic_fixture_copy, acoustic_named, difference):
    folder, checkpoint, save = acoustic_fixture_copy
    key = "text_encoder.ling_enc.position_enc.position_enc"
    width = checkpoint["model"][key].shape[2]
    assert difference(position_table(30, width), checkpoint["model"][key][0]) < 1e-6
    save(changed(checkpoint, key, position_table(77, width)[None]))
    case = acoustic_named("sambert_multisp_emo_16k")
    for number, spoken in enumerate(load_acoustic(folder)(case.inputs(), 4)):
        assert difference(spoken.mel, case.array(number, "post_mel")) < 1e-4


def test_half_precision_tensors_are_computed_in_single_precision(acoustic_fixture_copy, acoustic_named):
    folder, checkpoint, save = acoustic_fixture_copy
    save({"model": {key: value.half() for key, value in checkpoint["model"].items()}})
    model = load_acoustic(folder)
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    line = acoustic_named("sambert_multisp_emo_16k").lines[0]
    assert len(model([AcousticInput(model.symbols.encode(line))], 1)[0].mel)


def test_a_missing_or_odd_f0_file_is_named(tmp_path, acoustic_named):
    from shutil import copytree

    source = Path(acoustic_named("sambert_nsf_16k").model.config.file).parent
    folder = Path(copytree(source, tmp_path / "am"))
    np.save(folder / "mvn.npy", np.zeros(3))
    assert "mvn.npy holds 3 numbers" in refused(folder)
    (folder / "mvn.npy").unlink()
    assert "mvn.npy" in refused(folder)


@pytest.mark.parametrize("name", ["sambert_16k", "sambert_nsf_16k", "sambert_se_nsf_global_16k", "sambert_16k_MAS"])
def test_published_shapes_load(name, true_size, tmp_path):
    folder = true_size.write_voice(tmp_path, name, "")
    model = load_acoustic(folder / "am")
    assert len(model.decoder.blocks) == 12


@pytest.mark.parametrize("name", ["sambert_16k_MAS_byte", "sambert_fp_8k", "sambert_48k"])
def test_the_other_published_shapes_speak(name, true_size, tmp_path):
    folder = true_size.write_voice(tmp_path, name, "")
    model = load_acoustic(folder / "am")
    byte = "{228$emotion_neutral$F7} {189$emotion_neutral$F7} {160$emotion_neutral$F7}"
    phone = "{w_c$tone3$s_begin$word_begin$emotion_neutral$F7} {o_c$tone3$s_end$word_end$emotion_neutral$F7}"
    spoken = model([AcousticInput(model.symbols.encode(byte if "byte" in name else phone))], 1)[0]
    assert spoken.mel.shape[1] == model.config.mels
    assert torch.isfinite(spoken.mel).all()
