"""How much work a job is, as far as that can be told before a worker has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobs.record import Blob
from jobs.states import Kind

BYTES_A_CHARACTER = 3
"""Of a text in a file: Chinese in UTF-8. A packed book has some more, an English one fewer."""
BYTES_A_SECOND = 16_000
"""Of a recording whose length nobody has read yet: 128 kbit/s."""


class Load(NamedTuple):
    """What a job adds to the limits on waiting work."""

    characters: int = 0
    """To be spoken."""
    seconds: int = 0
    """To be heard."""


def load_of(kind: Kind, text: str | None, inputs: Sequence[Blob]) -> Load:
    """Return the load of a new job by its text, or else by the size of its inputs; at least 1 of what it will be.

    A parent's is given up when its children are there, and a recording's is set right when it has been opened.
    """
    size = sum(blob.bytes for blob in inputs)
    match kind:
        case Kind.STT | Kind.TRANSCRIPTS:
            return Load(seconds=max(1, size // BYTES_A_SECOND))
        case Kind.TTS if text is not None:
            return Load(characters=len(text))
    return Load(characters=max(1, size // BYTES_A_CHARACTER))
