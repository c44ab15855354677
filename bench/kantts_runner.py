"""Runs a copy of the original KAN-TTS, one sentence at a time, in a process of its own (see bench/tts.py).

    python bench/kantts_runner.py KANTTS_FOLDER JOB.json OUT.npz

Its stages are timed by wrapping its modules; nothing of it is changed. What the copy imports beside torch and numpy may
lie in KANTTS_FOLDER/packages:

    pip install --no-deps --target KANTTS_FOLDER/packages audioread cloudpickle cycler contourpy decorator fonttools \
        inflect joblib kiwisolver 'librosa==0.9.2' llvmlite matplotlib more_itertools narwhals numba pillow pooch \
        pyparsing python-dateutil pytorch_wavelets pywavelets resampy scikit-learn scipy 'setuptools<80' six soundfile \
        threadpoolctl tqdm typeguard typing_extensions unidecode

Its closed front end (ttsfrd) is imported but not needed: lines come as symbols.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import yaml


class Clock:
    """Adds up wall and CPU seconds of the calls of a module."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def around(self, module):
        forward = module.forward

        def timed(*args, **kwargs):
            wall, cpu = time.perf_counter(), time.process_time()
            made = forward(*args, **kwargs)
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu
            return made

        module.forward = timed
        return self


def let_it_be_imported(folder):
    """Find the copy and its packages, which have moved on since: only its training uses what is put in place here."""
    sys.path.insert(0, folder)
    sys.path.append(str(Path(folder) / "packages"))
    import scipy.signal

    scipy.signal.kaiser = scipy.signal.windows.kaiser
    sys.modules.setdefault("ttsfrd", types.ModuleType("ttsfrd"))


def main():
    folder, job_file, out_file = sys.argv[1:]
    let_it_be_imported(folder)
    from kantts.models.hifigan.hifigan import Generator
    from kantts.models.sambert.kantts_sambert import KanTtsSAMBERT
    from kantts.utils.ling_unit.ling_unit import KanTtsLinguisticUnit

    logging.disable(logging.INFO)
    job = json.loads(Path(job_file).read_text())
    torch.set_num_threads(job["threads"])
    voice = Path(job["voice"])

    config = yaml.safe_load((voice / "am" / "config.yaml").read_text())
    unit = KanTtsLinguisticUnit(config)
    params = config["Model"]["KanTtsSAMBERT"]["params"]
    params.update(unit.get_unit_size())
    acoustic = KanTtsSAMBERT(params)
    weights = torch.load(voice / "am" / "ckpt" / "checkpoint_0.pth", weights_only=True)["model"]
    acoustic.load_state_dict(weights, strict=False)
    acoustic.eval()
    config = yaml.safe_load((voice / "voc" / "config.yaml").read_text())
    vocoder = Generator(**config["Model"]["Generator"]["params"])
    weights = torch.load(voice / "voc" / "ckpt" / "checkpoint_0.pth", weights_only=True)["model"]["generator"]
    vocoder.load_state_dict(weights)
    vocoder.remove_weight_norm()
    vocoder.eval()

    def speak(line):
        fields = [torch.from_numpy(one).long() for one in unit.encode_symbol_sequence(line)]
        ling = torch.stack(fields[:4], dim=-1).unsqueeze(0)[:, :-1]
        emotion, speaker = fields[4].unsqueeze(0)[:, :-1], fields[5].unsqueeze(0)[:, :-1]
        made = acoustic(ling, emotion, speaker, torch.tensor([ling.shape[1]]))
        frames = int(made["LR_length_rounded"][0])
        mel = made["postnet_outputs"][:, :frames]
        return mel[0].numpy(), vocoder(mel.transpose(1, 2)).view(-1).numpy()

    arrays = {}
    with torch.no_grad():
        speak(job["lines"][0])
        clocks = {
            "decoder": Clock().around(acoustic.mel_decoder),
            "postnet": Clock().around(acoustic.mel_postnet),
            "vocoder": Clock().around(vocoder),
        }
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        whole_wall, whole_cpu = time.perf_counter(), time.process_time()
        for number, line in enumerate(job["lines"]):
            arrays[f"mel{number}"], arrays[f"wave{number}"] = speak(line)
        whole_wall, whole_cpu = time.perf_counter() - whole_wall, time.process_time() - whole_cpu
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    stages = {name: [clock.wall, clock.cpu] for name, clock in clocks.items()}
    stages["encoder"] = [
        whole_wall - sum(one[0] for one in stages.values()),
        whole_cpu - sum(one[1] for one in stages.values()),
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.savez(out_file, report=json.dumps({"stages": stages, "peak_mb": peak, "faults": faults}), **arrays)


if __name__ == "__main__":
    main()
