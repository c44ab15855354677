"""The voices: our batched path against our own one-by-one path and against the original, on one true-size checkpoint.

    python -m bench.tts [--sentences 64] [--kantts FOLDER] [--threads 2] [--save]

The checkpoint has random weights and the real shapes (sambert_16k, hifigan_noncausal_v1_16k), its durations are scaled
to speech; sentences have 5 to 60 syllables. Every path runs in a process of its own, so that memory can be told apart.
`--kantts FOLDER` is a copy of KAN-TTS that this Python can import. Wall and CPU seconds are both given: on a machine
with other work the CPU seconds are the steadier ones.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench import results, true_size

STAGES = ("encoder", "decoder", "postnet", "vocoder")
MFLOP_PER_FRAME = 195  # the vocoder as described (specification section 6)


class Stopwatch:
    """Wall and CPU seconds by stage."""

    def __init__(self):
        self.stages = {name: [0.0, 0.0] for name in STAGES}
        self.faults = page_faults()

    def time(self, name, call, *args):
        wall, cpu = time.perf_counter(), time.process_time()
        made = call(*args)
        self.stages[name][0] += time.perf_counter() - wall
        self.stages[name][1] += time.process_time() - cpu
        return made


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def speak(voice, lines, slots, watch):
    """Run the stages of `Voice.render` one after the other, timed; return mels and waves."""
    from speech.tts.acoustic import AcousticInput, similar_groups
    from speech.tts.crew import share_out
    from speech.tts.decoding import DecoderInput, decode
    from speech.tts.voice import ROWS_WORTH_A_CORE

    acoustic, vocoder, crew = voice._acoustic, voice._vocoder, voice._crew  # noqa: SLF001 - the stages are timed apart
    inputs = [AcousticInput(acoustic.symbols.encode(line)) for line in lines]
    parts = share_out([len(one.ids) for one in inputs], min(crew.count, -(-len(lines) // ROWS_WORTH_A_CORE)))

    def encode(part):
        memories = {}
        for group in similar_groups([len(inputs[n].ids) for n in part], acoustic.together.symbols):
            made, _ = acoustic.memories([inputs[part[n]] for n in group])
            memories.update(zip(group, made, strict=True))
        return [memories[n] for n in range(len(part))]

    def decoded(rows):
        return decode(acoustic.decoder, [DecoderInput(one.vectors, one.band) for one in rows], slots)

    def finish(pair):
        made, rows = pair
        return acoustic.postnet.rows(made, [one.frames for one in rows], acoustic.together.frames)

    memories = watch.time("encoder", crew.map, encode, parts)
    frames = watch.time("decoder", crew.map, decoded, memories)
    finished = watch.time("postnet", crew.map, finish, list(zip(frames, memories, strict=True)))
    by_number = {n: mel for part, some in zip(parts, finished, strict=True) for n, mel in zip(part, some, strict=True)}
    mels = [by_number[n] for n in range(len(lines))]
    waves = watch.time("vocoder", vocoder, mels, [0] * len(mels))
    return [mel.numpy() for mel in mels], waves


def run_ours(folder, lines, threads, slots, one_by_one, precision, out):
    """Process body: speak all lines, write stages, memory and results."""
    import torch

    from speech.device import cap_threads
    from speech.tts import Voice

    cap_threads(threads)
    began = time.perf_counter()
    voice = Voice.load(folder, precision=precision)
    loaded = time.perf_counter() - began
    speak(voice, lines[:1], 1, Stopwatch())
    watch, mels, waves = Stopwatch(), [], []
    for part in [[line] for line in lines] if one_by_one else [lines]:
        made = speak(voice, part, slots, watch)
        mels += made[0]
        waves += made[1]
    watch.faults = page_faults() - watch.faults
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = {"stages": watch.stages, "peak_mb": peak, "load_seconds": loaded, "gflops": matmul_gflops(torch)}
    report["faults"] = watch.faults
    arrays = {f"mel{n}": mel for n, mel in enumerate(mels)} | {f"wave{n}": wave for n, wave in enumerate(waves)}
    np.savez(out, report=json.dumps(report), **arrays)


def matmul_gflops(torch, size=1024):
    """The best of torch's own matrix products (oneDNN convolution is judged by it)."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = 9e9
    for _ in range(8):
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def in_process(target, *args):
    child = multiprocessing.get_context("spawn").Process(target=target, args=args)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{target.__name__} failed with exit code {child.exitcode}")


def run_kantts(copy, folder, lines, threads, out):
    job = out.with_suffix(".json")
    job.write_text(json.dumps({"voice": str(folder), "lines": lines, "threads": threads}))
    runner = Path(__file__).with_name("kantts_runner.py")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, str(runner), str(copy), str(job), str(out)], check=True, env=environment)


def read(out):
    content = np.load(out)
    count = sum(name.startswith("wave") for name in content.files)
    return (
        json.loads(str(content["report"])),
        [content[f"mel{n}"] for n in range(count)],
        [content[f"wave{n}"] for n in range(count)],
    )


def total(report, kind):
    return sum(report["stages"][stage][kind] for stage in STAGES)


def snr(wanted, made):
    noise = sum(float(((a - b).astype(np.float64) ** 2).sum()) for a, b in zip(wanted, made, strict=True))
    return 10 * np.log10(sum(float((a.astype(np.float64) ** 2).sum()) for a in wanted) / noise)


def mel_distance(wanted, made):
    """Mean absolute difference of 80-band log mel spectra in dB, 50 ms windows, down to 60 dB below the loudest."""
    import torch

    bins = torch.linspace(0, 8000, 513)
    edges = 700 * (10 ** (torch.linspace(0, 2840.0, 82) / 2595) - 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(rise, fall).clamp(min=0)

    def log_mel(wave):
        window = torch.hann_window(800)
        power = torch.stft(torch.from_numpy(wave), 1024, 200, 800, window, return_complex=True).abs()
        bands = bank @ power
        return 20 * torch.log10(bands.clamp(min=float(bands.max()) / 1000))

    return float(np.mean([float((log_mel(a) - log_mel(b)).abs().mean()) for a, b in zip(wanted, made, strict=True)]))


def demo_in_bfloat16(out):
    """Process body: how far bfloat16 is from float32 on the bundled voice, which was trained."""
    from speech.text import FrontEnd
    from speech.tts import Voice

    text = (Path(__file__).resolve().parents[1] / "models" / "demo" / "domain-story.txt").read_text("utf-8")
    lines = [one.symbols for line in text.split("\n")[:12] for one in FrontEnd().plain(line) if one.symbols]
    usual, rough = (Voice.load("demo", precision=p).synthesize_symbols(lines) for p in ("float32", "bfloat16"))
    report = {"snr_db": snr(usual, rough), "mel_db": mel_distance(usual, rough), "sentences": len(lines)}
    Path(out).write_text(json.dumps(report))


def table(reports, audio_seconds, base):
    heads = ["path", *(f"{name} s (CPU)" for name in STAGES), "wall s", "CPU s", "real-time factor"]
    heads += ["faster, wall", "faster, CPU", "peak MB"]
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("| --- |" + " --- |" * 10)
    for name, report in reports.items():
        wall, cpu = total(report, 0), total(report, 1)
        stages = " | ".join("{:.1f} ({:.1f})".format(*report["stages"][stage]) for stage in STAGES)
        ratios = f"{total(reports[base], 0) / wall:.2f}× | {total(reports[base], 1) / cpu:.2f}×"
        times = f"{wall:.2f} | {cpu:.2f} | {wall / audio_seconds:.4f}"
        lines.append(f"| {name} | {stages} | {times} | {ratios} | {report['peak_mb']:.0f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kantts", type=Path, help="folder of a running copy of KAN-TTS")
    parser.add_argument("--save", action="store_true", help="put the tables into bench/RESULTS.md")
    wanted = parser.parse_args()
    rng = random.Random(5)
    lines = [true_size.symbol_line(rng.randint(5, 60), rng) for _ in range(wanted.sentences)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        voice = true_size.pace(true_size.write_voice(folder / "voice"))
        paths = {}
        if wanted.kantts:
            run_kantts(wanted.kantts, voice, lines, wanted.threads, folder / "kantts.npz")
            paths["KAN-TTS, one by one"] = read(folder / "kantts.npz")
        for name, one_by_one, precision in (
            ("ours, one by one", True, "float32"),
            ("ours, batched", False, "float32"),
            ("ours, batched, bfloat16 vocoder", False, "bfloat16"),
        ):
            out = folder / f"{len(paths)}.npz"
            in_process(run_ours, voice, lines, wanted.threads, 32, one_by_one, precision, out)
            paths[name] = read(out)
        in_process(demo_in_bfloat16, folder / "demo.json")
        demo = json.loads((folder / "demo.json").read_text())
    text = report_text(paths, demo, lines, wanted)
    print(text)
    if wanted.save:
        results.save("TTS", command_line(wanted), text)


def command_line(wanted):
    kantts = " --kantts KAN-TTS" if wanted.kantts else ""
    return f"python -m bench.tts --sentences {wanted.sentences} --threads {wanted.threads}{kantts}"


def report_text(paths, demo, lines, wanted):
    reports = {name: one[0] for name, one in paths.items()}
    base = next(iter(paths))
    _, mels, waves = paths["ours, batched"]
    rough = paths["ours, batched, bfloat16 vocoder"][2]
    frames = sum(len(mel) for mel in mels)
    audio = sum(len(wave) for wave in waves) / 16000
    symbols = sum(line.count("{") for line in lines)
    parts = [
        (
            f"{len(lines)} sentences of 5 to 60 syllables, {symbols} symbols, {frames} frames, {audio:.1f} s of audio; "
            f"{wanted.threads} threads; load average before and after may include other work "
            f"({os.getloadavg()[0]:.1f} at the end)."
        ),
        table(reports, audio, base),
    ]
    ours = reports["ours, batched"]
    flops = MFLOP_PER_FRAME * frames / 1e3
    facts = [
        f"Page faults: {ours['faults']} of ours, batched"
        + (f", {reports[base]['faults']} of {base}." if "faults" in reports[base] else "."),
        f"Loading our voice: {ours['load_seconds']:.2f} s.",
        (
            f"Vocoder: {flops / ours['stages']['vocoder'][0]:.0f} GFLOP/s of the network as described "
            f"(a 1024 × 1024 matrix product of torch's default library in the same process: {ours['gflops']:.0f}); "
            f"bfloat16: {flops / reports['ours, batched, bfloat16 vocoder']['stages']['vocoder'][0]:.0f}."
        ),
        (
            f"bfloat16 against float32: random checkpoint {snr(waves, rough):.1f} dB "
            f"signal to noise; demo voice, {demo['sentences']} sentences, {demo['snr_db']:.1f} dB and "
            f"{demo['mel_db']:.2f} dB of mean log mel distance."
        ),
    ]
    for other in [name for name in paths if name in ("KAN-TTS, one by one", "ours, one by one")]:
        _, other_mels, other_waves = paths[other]
        decoder = reports[other]["stages"]["decoder"]
        ratio = [a / b for a, b in zip(decoder, ours["stages"]["decoder"], strict=True)]
        same = [a.shape == b.shape for a, b in zip(mels, other_mels, strict=True)]
        worst = [
            max(float(np.abs(a - b).max()) for a, b, fits in zip(*pair, same, strict=True) if fits)
            for pair in ((mels, other_mels), (waves, other_waves))
        ]
        facts.append(
            f"Against {other}: decoder {ratio[0]:.1f}× faster (CPU {ratio[1]:.1f}×); "
            f"{sum(same)} of {len(same)} sentences of the same length, there mels differ by at most {worst[0]:.1e}, "
            f"audio by {worst[1]:.1e}."
        )
    return "\n\n".join([*parts, "\n".join(f"* {fact}" for fact in facts)])


if __name__ == "__main__":
    main()
