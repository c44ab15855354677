"""From KAN-TTS symbol lines to the ids that the acoustic model's embeddings want (specification section 1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.errors import TextError

log = logging.getLogger(__name__)

PHONE_FIELDS = ("sy", "tone", "syllable_flag", "word_segment", "emo_category", "speaker_category")
BYTE_FIELDS = ("byte_index", "emo_category", "speaker_category")
# The fixed code that front ends write into the speaker field when no speaker was chosen (section 1.3).
DEFAULT_SPEAKER = "F7"
EMOTION_PREFIX = "emotion_"


@dataclass(frozen=True)
class SymbolIds:
    """One line as ids.

    ``linguistic`` is int64 [symbols, 4] (phone, tone, syllable flag, word flag) or [symbols, 1] (bytes);
    ``emotion`` and ``speaker`` are int64 [symbols].
    """

    linguistic: NDArray[np.int64]
    emotion: NDArray[np.int64]
    speaker: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.emotion)


@cache
def symbol_tables() -> Mapping[str, Any]:
    """Return the ordered symbol lists of the four languages, the emotions and the special symbols."""
    file = Path(__file__).with_name("data") / "symbols.json"
    tables: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return tables


def emotion_names() -> list[str]:
    """Return the short names of all emotions that a voice can be trained on, in the order of their ids."""
    names = (str(name).removeprefix(EMOTION_PREFIX) for name in symbol_tables()["emotions"])
    return [name for name in names if name != "none" and not name.startswith("placeholder")]


class SymbolTable:
    """The dictionaries of one voice: language and speakers decide the ids."""

    def __init__(self, language: str, speakers: Sequence[str], *, bytes_in: bool, any_speaker: bool = False) -> None:
        tables = symbol_tables()
        languages = tables["languages"]
        if language not in languages:
            log.warning("language %r is not known to Sambert: reading its symbols as PinYin", language)
        lists = languages.get(language, languages["PinYin"])
        self.fields = BYTE_FIELDS if bytes_in else PHONE_FIELDS
        names: dict[str, Sequence[str]] = {
            "sy": lists["sy"],
            "tone": lists["tone"],
            "syllable_flag": lists["syllable_flag"],
            "word_segment": lists["word_segment"],
            "byte_index": [str(number) for number in range(256)],
            "emo_category": tables["emotions"],
            "speaker_category": speakers,
        }
        self._ids = {field: {name: number for number, name in enumerate(names[field])} for field in self.fields}
        self._speakers = tuple(speakers)
        self._any_speaker = any_speaker

    def size(self, field: str) -> int:
        """Return the number of symbols of a field without the three specials (padding, end, mask)."""
        return len(self._ids[field])

    def encode(self, line: str) -> SymbolIds:
        """Return the ids of one symbol line, with or without a leading ``index<TAB>``.

        Raises:
            TextError: empty line, malformed symbol, or a value no dictionary has; names symbol and position.

        """
        text = line.rpartition("\t")[2].strip(" \r\n")
        if not text:
            raise TextError("the symbol line is empty", code="empty_line")
        rows = [self._symbol(symbol, position) for position, symbol in enumerate(text.split(" "), start=1)]
        columns = np.array(rows, dtype=np.int64)
        return SymbolIds(columns[:, :-2], columns[:, -2], columns[:, -1])

    def _symbol(self, symbol: str, position: int) -> list[int]:
        if not (symbol.startswith("{") and symbol.endswith("}")):
            raise TextError(
                f"symbol {position} {symbol!r} must look like {{a$b$c}}, one blank apart", code="bad_symbol"
            )
        values = symbol.strip("{}").split("$")
        if len(values) < len(self.fields):
            wanted = "$".join(self.fields)
            raise TextError(
                f"symbol {position} {symbol!r} has {len(values)} of {len(self.fields)} fields {wanted}",
                code="bad_symbol",
            )
        return [self._id(field, value, position) for field, value in zip(self.fields, values, strict=False)]

    def _id(self, field: str, value: str, position: int) -> int:
        number = self._ids[field].get(value)
        if number is not None:
            return number
        if field == "speaker_category":
            if value == DEFAULT_SPEAKER or self._any_speaker:
                return 0
            known = ", ".join(self._speakers)
            raise TextError(f"symbol {position}: no speaker {value!r}; this voice has {known}", code="unknown_speaker")
        if field == "emo_category":
            known = ", ".join(emotion_names())
            raise TextError(f"symbol {position}: no emotion {value!r}; known are {known}", code="unknown_emotion")
        raise TextError(f"symbol {position}: {value!r} is not in the {field} dictionary", code="unknown_symbol")
