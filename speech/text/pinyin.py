"""Words to citation pinyin: a user dictionary, our own phrases, pypinyin's phrases, then single characters.

Everything here is read-only after its first use and may be called from many threads.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

from speech.errors import TextError
from speech.text.symbols import tables

_TONE_MARKS = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
# Standard syllables that the voices have no entry for, and the nearest one they can say (specification 5.1).
_NEAREST = {
    "n": "en", "ng": "en", "m": "mu", "hm": "heng", "hng": "heng", "ê": "ei", "eh": "ei", "din": "ding",
    "rua": "rou", "cei": "cui", "sei": "sai", "fiao": "fou", "biang": "biao", "nia": "ya", "len": "leng",
    "wong": "weng", "bong": "beng", "nvn": "nuan", "lvn": "lun",
}  # fmt: skip
_NEUTRAL_PLACES = {"~": -1, "~~": 1}
_SYLLABLE = re.compile("([a-züê]+)([0-6]?)")
_SHOWN = 24
# The longest entries of the phrase dictionaries.
_LONGEST_PHRASE = 16
# 跑得快, 长得俊: what follows the 得 of a word of three says how; in 彼得堡 and 不得劲 it is something else.
_HOW = frozenset(
    "对好慢快多少早晚远近高低大小深浅清楚懂见到起上下住过完出来去开动通赢饱坏美俊狠严紧松稳准重轻响亮香甜苦很"
)
_NO_VERBS = frozenset("不所应可必既彼")
# 牵着手, 点着头: no 着手, and nothing is lit.
_HELD = frozenset("手眼脸头烟腰脚")
_ABLE = {"着": "zhao2", "了": "liao3"}
# What the particles are inside words that no dictionary has.
_INSIDE_WORDS = {"地": "di4", "得": "de2"}
# After these initials a written u is ü, which the voices spell v.
_U_IS_V = ("j", "q", "x", "y")


def to_key(base: str) -> str | None:
    """Return the syllable table's key for a toneless pinyin syllable (``ju`` → ``jv``), None if there is none."""
    base = base.replace("ü", "v").replace("u:", "v")
    if base.startswith(_U_IS_V) and base[1:2] == "u":
        base = f"{base[0]}v{base[2:]}"
    known = tables().syllables
    if base in known:
        return base
    nearest = _NEAREST.get(base)
    return nearest if nearest in known else None


def from_marks(marked: str) -> str | None:
    """Return ``nv3`` for ``nǚ``; no mark is the neutral tone 5. None for what is no Mandarin syllable."""
    tone, base = "5", ""
    for char in unicodedata.normalize("NFD", marked):
        if char in _TONE_MARKS:
            tone = _TONE_MARKS[char]
        elif char == "\u0308":
            base = f"{base[:-1]}v"
        elif char == "\u0302":
            base = f"{base[:-1]}ê"
        else:
            base += char
    key = to_key(base)
    return None if key is None else key + tone


@cache
def own_phrases() -> dict[str, tuple[str, ...]]:
    """Our corrections: phrases (and single characters) whose reading pypinyin lacks or gets wrong."""
    found: dict[str, tuple[str, ...]] = {}
    for line in files("speech.text").joinpath("data/phrases.txt").read_text(encoding="utf-8").splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] in _NEUTRAL_PLACES:
            for word in words[1:]:
                found[word] = _neutralised(word, _NEUTRAL_PLACES[words[0]])
        else:
            found[words[0]] = tuple(valid(syllable) for syllable in words[1:])
    return found


def _neutralised(word: str, place: int) -> tuple[str, ...]:
    syllables = list(_from_pypinyin(word) or (_pypinyin_characters(char)[0] for char in word))
    syllables[place] = "de5" if word[place] == "地" else f"{syllables[place][:-1]}5"
    return tuple(syllables)


def valid(pinyin: str) -> str:
    """Return a syllable with tone digit as the voices' table spells it: ``quan1`` → ``qvan1``, ``lü4`` → ``lv4``.

    A missing digit is the neutral tone. Raises :class:`TextError` for what no voice can say.
    """
    match = _SYLLABLE.fullmatch(pinyin.lower().replace("u:", "v"))
    if match is None and (marked := from_marks(pinyin.lower())) is not None:
        return marked
    key = to_key(match[1]) if match else None
    if match is None or key is None:
        raise TextError(
            f"{pinyin[:_SHOWN]!r} is not a Mandarin syllable; write it with its tone 1-5 behind it, like chong2 or lv4",
            code="bad_pinyin",
        )
    return key + {"": "5", "0": "5", "6": "2"}.get(match[2], match[2])


@cache
def _characters() -> dict[int, str]:
    from pypinyin.constants import PINYIN_DICT

    return PINYIN_DICT


@cache
def _phrases() -> dict[str, list[list[str]]]:
    from pypinyin.constants import PHRASES_DICT

    return PHRASES_DICT


@lru_cache(maxsize=65536)
def phrase(word: str) -> tuple[str, ...] | None:
    """Return the reading of a whole phrase that is in a dictionary, one syllable per character, else None."""
    return own_phrases().get(word) or _from_pypinyin(word)


def _from_pypinyin(word: str) -> tuple[str, ...] | None:
    marked = _phrases().get(word)
    if marked is None or len(marked) != len(word):
        return None
    syllables = [from_marks(options[0]) for options in marked]
    known = tuple(syllable for syllable in syllables if syllable is not None)
    return known if len(known) == len(word) else None


@lru_cache(maxsize=65536)
def character(char: str) -> tuple[str, ...]:
    """Return the possible readings of a character, most usual first; empty if it has none."""
    return tuple(dict.fromkeys([*own_phrases().get(char, ()), *_pypinyin_characters(char)]))


def _pypinyin_characters(char: str) -> list[str]:
    marked = _characters().get(ord(char), "")
    readings = [from_marks(option) for option in marked.split(",")] if marked else []
    return [reading for reading in readings if reading is not None]


def read_word(word: str) -> tuple[str, ...]:
    """Return the citation reading of a segmented word; phrases inside it win over single characters.

    Every character must have a reading (see :func:`character`).
    """
    if len(word) > _LONGEST_PHRASE:
        # Digits in a row; not worth remembering.
        return tuple(syllable for char in word for syllable in _read(char))
    return _read(word)


def _doubled(word: str) -> tuple[str, ...] | None:
    """Read 清清楚楚 as 清楚, with full tones: the phrase dictionaries have several of its kind wrong."""
    if len(word) != 4 or word in own_phrases() or word[0] != word[1] or word[2] != word[3] or word[0] == word[2]:
        return None
    pair = phrase(word[0] + word[2])
    if pair is None:
        return None
    first, second = pair
    if second[-1] == "5":
        second = next((one for one in character(word[2]) if one[:-1] == second[:-1] and one[-1] != "5"), second)
    return first, first, second, second


@lru_cache(maxsize=65536)
def _read(word: str) -> tuple[str, ...]:
    whole = _doubled(word) or phrase(word) or (character(word)[:1] if len(word) == 1 else None)
    if whole:
        return whole
    if len(word) == 3 and word[1] == "着" and word[2] in _HELD:
        return character(word[0])[0], "zhe5", character(word[2])[0]
    syllables: list[str] = []
    at = 0
    while at < len(word):
        for end in range(len(word) if at else len(word) - 1, at + 1, -1):
            part = phrase(word[at:end])
            if part is not None:
                syllables.extend(part)
                at = end
                break
        else:
            syllables.append(_INSIDE_WORDS.get(word[at]) or character(word[at])[0])
            at += 1
    if len(word) == 3 and word[1] == "得" and word[2] in _HOW and word[0] not in _NO_VERBS:
        syllables[1] = "de5"
    if len(word) > 2 and word[-1] == "长" and phrase(word[-2:]) is None:
        # The endings of 声波长 and 个人特长 are words; what else ends in 长 is somebody's office: 秘书长.
        syllables[-1] = "zhang3"
    if len(word) == 3 and word[1] in "不得" and word[2] in _ABLE:
        # 管不着, 吃得了: able to or not.
        syllables[1:] = ["bu5" if word[1] == "不" else "de5", _ABLE[word[2]]]
    return tuple(syllables)
