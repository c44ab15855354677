"""One step of the true-size decoder by the ways that were weighed: why speech/tts/decoder.py is written by hand.

    python -m bench.decoder_step [--compile] [--save]

CPU milliseconds of one thread for 1, 8 and 32 rows with a band of 6. `--compile` adds torch.compile (it takes minutes).
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch.nn import functional as nnf

from bench import results, true_size

RING = 7


def inputs(decoder, rows):
    inner = decoder.inner
    return (
        torch.randn(rows, decoder.start.shape[0]),
        torch.randn(rows, decoder.width),
        torch.randn(len(decoder.blocks), 2, RING, rows, 2 * inner),
        torch.tensor([3]),
        torch.zeros(2, RING, rows, 1),
    )


class Step(torch.nn.Module):
    """The step as it is: the cache is written in place."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, fed_back, entering, cache, place, mask):
        hidden = self.decoder.step(fed_back, entering, cache, place, mask)
        return hidden, self.decoder.feed_back(hidden)


class Functional(torch.nn.Module):
    """The same for a runtime that cannot write into its inputs: the newest key is put in by concatenation."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, fed_back, entering, cache, mask):
        d = self.decoder
        hidden = torch.relu(torch.addmm(d.prenet_bias, torch.relu(fed_back), d.prenet_weight))
        x = entering + torch.matmul(hidden, d.enter_weight)
        made = []
        for layer, block in enumerate(d.blocks):
            inner = block.inner
            qkv = torch.addmm(block.qkv_bias, nnf.layer_norm(x, (block.width,), eps=1e-6), block.qkv_weight)
            made.append(qkv[:, inner:])
            newest = torch.stack([qkv[:, inner:], cache[layer, 1, -1]])[:, None]
            keys = torch.cat([cache[layer][:, :-1], newest], 1)
            split = (2, RING, -1, block.heads, inner // block.heads)
            scores = (keys[..., :inner] * qkv[:, :inner]).reshape(split).sum(4) + mask
            mixed = (keys[..., inner:].reshape(split) * torch.softmax(scores, 1).unsqueeze(4)).sum(1)
            both = mixed.reshape(2, -1, inner).transpose(0, 1).reshape(-1, 2 * inner)
            x = torch.addmm(x + block.out_bias, both, block.out_weight)
            normed = nnf.layer_norm(x, (block.width,), eps=1e-6)
            up = torch.relu(torch.addmm(block.up_bias, normed, block.up_weight))
            x = torch.addmm(x + block.down_bias, up, block.down_weight)
        hidden = nnf.layer_norm(x, (d.width,), eps=1e-6)
        return hidden, d.feed_back(hidden), torch.stack(made)


def milliseconds(call, times=30):
    for _ in range(5):
        call()
    best = float("inf")
    for _ in range(7):
        began = time.process_time()
        for _ in range(times):
            call()
        best = min(best, (time.process_time() - began) / times)
    return best * 1e3


def onnx_session(decoder, given, folder):
    import onnxruntime as ort

    file = str(Path(folder) / "step.onnx")
    fed_back, entering, cache, _, mask = given
    names = ["fed_back", "entering", "cache", "mask"]
    arguments = (fed_back, entering, cache, mask)
    torch.onnx.export(Functional(decoder), arguments, file, input_names=names, dynamo=False, opset_version=17)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {name: one.numpy() for name, one in zip(names, arguments, strict=True)}
    return lambda: session.run(None, feed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--save", action="store_true")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from speech.tts.acoustic import load_acoustic

    table = {}
    sizes = (1, 8, 32)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        decoder = load_acoustic(true_size.write_voice(Path(folder), vocoder="") / "am").decoder
        for rows in sizes:
            given = inputs(decoder, rows)
            step = Step(decoder)
            ways = {"by hand (kept)": lambda step=step, given=given: step(*given)}
            with torch.no_grad():
                traced = torch.jit.freeze(torch.jit.trace(step, given, check_trace=False).eval())
            ways["TorchScript"] = lambda traced=traced, given=given: traced(*given)
            with torch.inference_mode(mode=False), torch.no_grad():
                copies = [one.clone() for one in given]
                ways["ONNX Runtime, without writing the cache"] = onnx_session(decoder, copies, folder)
            if wanted.compile:
                compiled = torch.compile(step)
                with torch.no_grad():
                    compiled(*copies)
                ways["torch.compile"] = lambda compiled=compiled, copies=copies: compiled(*copies)
            for name, call in ways.items():
                table.setdefault(name, []).append(milliseconds(call))
    lines = ["| way | " + " | ".join(f"{rows} rows, ms" for rows in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    lines += [f"| {name} | " + " | ".join(f"{one:.2f}" for one in times) + " |" for name, times in table.items()]
    text = "\n".join(lines)
    print(text)
    if wanted.save:
        results.save("TTS: ways to run the decoder's step", "python -m bench.decoder_step", text + NOTE)


NOTE = """

Kept: by hand. At the batch sizes that matter the step is mostly matrix products, which all ways share, and the decoder
is less than a tenth of a batched sentence (see TTS). TorchScript is deprecated; torch.compile wants a C++ compiler on
the user's machine and minutes per shape; ONNX Runtime would add an export at every load and a second copy of the step,
while the hand-written one is also what a CUDA graph captures.
"""

if __name__ == "__main__":
    main()
