"""Sound through pipes, for a program that keeps FFmpeg out of its own process.

    python -m speech.audio.piping encode FORMAT RATE OUT_RATE    raw samples from stdin, a stream to stdout
    python -m speech.audio.piping decode PATH RAW RATE SKIP GAIN_DB
                                  a file's raw samples to stdout, from sample SKIP on; RAW: Hz of a raw file, else 0
    python -m speech.audio.piping serve
                                  one task after another: a line of JSON says which of the two, as a list; stdin and
                                  stdout are blocks, each behind its length in four bytes, an empty one at the end

Raw samples are 16-bit little-endian mono. What is encoded goes out as soon as the encoder has it: a listener hears the
first sentence while the next one is still being spoken. Exit status 0; a reader that goes away ends it, and so does
the end of stdin.
"""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from speech.audio.decoding import decode
from speech.audio.encoding import Stream
from speech.audio.pcm import to_int16
from speech.audio.resampling import Resampler

READ = 1 << 15
"""Bytes taken at once; a pipe gives what there is."""
LENGTH_BYTES = 4


def encode_pipe(source: BinaryIO, target: BinaryIO, *, format: str, rate: int, out_rate: int) -> None:  # noqa: A002 - the word of the interface
    """Encode raw samples until their end. `source` is read without waiting for a full buffer."""
    odd = b""
    with Stream(target, format=format, rate=rate, out_rate=out_rate) as stream:
        while block := source.read(READ):
            block = odd + block
            whole = len(block) - len(block) % 2
            odd = block[whole:]
            stream.write(np.frombuffer(block[:whole], "<i2").astype(np.int16, copy=False))


def decode_pipe(path: str, target: BinaryIO, *, raw_rate: int, rate: int, skip: int, gain_db: float) -> None:
    """Write a file's samples at `rate` Hz from sample `skip` on, `gain_db` louder."""
    factor = np.float32(10 ** (gain_db / 20))
    for block in Resampler(raw_rate, rate).stream(_raw(path)) if raw_rate else decode(path, rate=rate):
        rest = block[min(skip, block.size) :]
        skip -= block.size - rest.size
        target.write(to_int16(rest * factor).astype("<i2").tobytes())


def _raw(path: str) -> Iterator[NDArray[np.int16]]:
    with Path(path).open("rb") as file:
        while block := file.read(READ):
            yield np.frombuffer(block, "<i2").astype(np.int16, copy=False)


class _Given:
    """The blocks of one task, as a file."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self, _: int) -> bytes:
        """Return the next block, nothing at the end."""
        return self._source.read(int.from_bytes(self._source.read(LENGTH_BYTES), "big"))


class _Blocks(io.RawIOBase):
    """What one task writes, as blocks; each goes out at once."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        block = bytes(data)
        if block:
            self._send(block)
        return len(block)

    def end(self) -> None:
        self._send(b"")

    def _send(self, block: bytes) -> None:
        self._sink.write(len(block).to_bytes(LENGTH_BYTES, "big") + block)
        self._sink.flush()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Do tasks until `source` ends."""
    while told := source.readline():
        blocks = _Blocks(sink)
        _do(json.loads(told), cast("BinaryIO", _Given(source)), cast("BinaryIO", blocks))
        blocks.end()


def _do(task: list[str], source: BinaryIO, sink: BinaryIO) -> None:
    match task:
        case ["encode", name, rate, out_rate]:
            encode_pipe(source, sink, format=name, rate=int(rate), out_rate=int(out_rate))
        case ["decode", path, raw_rate, rate, skip, gain_db]:
            asked = {"raw_rate": int(raw_rate), "rate": int(rate), "skip": int(skip)}
            decode_pipe(path, sink, **asked, gain_db=float(gain_db))
        case _:
            raise SystemExit(__doc__)


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    if arguments == ["serve"]:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    else:
        source = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - stdin stays open
        _do(arguments, source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it with its parent, without a stack
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        sys.exit(0)
