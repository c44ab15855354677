"""What was heard before as the prompt of what comes next, inside one recording and one channel of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from speech.stt.chunks import Chunk, ChunkResult, Spoken, unit_name
from speech.stt.options import DecodeOptions

CONTEXT_CHARACTERS = 1000
"""Characters that are carried on: more than the 223 tokens for which a prompt has room, in any language."""
RESET_TEMPERATURE = 0.5
"""Above it words are guesses; the context begins anew after them (Whisper's own rule)."""

Heard = Mapping[str, ChunkResult]
"""Results of a file's chunks by the chunks' units."""


def with_context(options: DecodeOptions, before: Sequence[Spoken]) -> DecodeOptions:
    """Return the options with what was said before at the end of their prompt, if that is wanted."""
    if not options.condition_on_previous_text:
        return options
    texts: list[str] = []
    for segment in reversed(before):
        if segment.temperature > RESET_TEMPERATURE:
            break
        texts.append(segment.text)
    said = "".join(reversed(texts))[-CONTEXT_CHARACTERS:]
    return replace(options, prompt=(options.prompt or "") + said)


def said_before(chunk: Chunk, heard: Heard) -> list[Spoken]:
    """Return what the chunks before this one said in its channel, as far back as a prompt can reach.

    A chunk in which the model repeated itself ends it: a loop would be carried on. What a chunk has heard beyond its
    end comes once more in this one.
    """
    said: list[Spoken] = []
    for index in range(chunk.index - 1, -1, -1):
        result = heard.get(unit_name(index, chunk.options.language)) or heard.get(unit_name(index, None))
        if result is None or result.channel != chunk.channel:
            continue
        if result.verdict == "repetition" or sum(len(each.text) for each in said) >= CONTEXT_CHARACTERS:
            break
        said[:0] = [each for each in result.segments if result.heard_to is None or each.end <= chunk.start]
    return said
