"""English words and letters to ARPAbet syllables with stress (specification section 5.4).

The dictionary is the American one that the misaki package carries (Apache-2.0), read without importing the package;
what it lacks is built from its parts or by the letter-to-sound rules of :mod:`speech.text.spelling`.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from speech.text.characters import word_set
from speech.text.spelling import guess

LETTERS = {
    "a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1",
    "h": "EY1 CH", "i": "AY1",
    "j": "JH EY1", "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1",
    "q": "K Y UW1",
    "r": "AA1 R", "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1", "w": "D AH1 . B AH0 L . Y UW0",
    "x": "EH1 K S",
    "y": "W AY1", "z": "Z IY1",
}  # fmt: skip
_PHONES = {
    "ə": "AH", "ᵊ": "AH", "ᵻ": "IH", "i": "IY", "ɪ": "IH", "ɛ": "EH", "æ": "AE", "ɑ": "AA", "ɔ": "AO",
    "ʊ": "UH", "u": "UW",
    "ʌ": "AH", "ɜ": "ER", "A": "EY", "I": "AY", "O": "OW", "W": "AW", "Y": "OY", "ʃ": "SH", "ʒ": "ZH",
    "ʤ": "JH", "ʧ": "CH",
    "θ": "TH", "ð": "DH", "ŋ": "NG", "ɡ": "G", "j": "Y", "h": "HH", "ɾ": "T", "ʔ": "T", "ɹ": "R", "b": "B",
    "d": "D", "f": "F",
    "k": "K", "l": "L", "m": "M", "n": "N", "p": "P", "s": "S", "t": "T", "v": "V", "w": "W", "z": "Z",
}  # fmt: skip
VOWELS = word_set("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
_ONSETS = frozenset(
    [
        *[
            "B",
            "CH",
            "D",
            "DH",
            "F",
            "G",
            "HH",
            "JH",
            "K",
            "L",
            "M",
            "N",
            "P",
            "R",
            "S",
            "SH",
            "T",
            "TH",
            "V",
            "W",
            "Y",
            "Z",
            "ZH",
        ],
        *[
            "B L",
            "B R",
            "B Y",
            "D R",
            "D W",
            "F L",
            "F R",
            "F Y",
            "G L",
            "G R",
            "G W",
            "HH Y",
            "K L",
            "K R",
            "K W",
            "K Y",
            "M Y",
            "P L",
            "P R",
            "P Y",
            "S F",
            "S K",
            "S K R",
            "S K W",
            "S K Y",
            "S L",
            "S M",
            "S N",
            "S P",
            "S P L",
            "S P R",
            "S P Y",
            "S T",
            "S T R",
            "S W",
            "SH R",
            "T R",
            "T W",
            "TH R",
            "V Y",
        ],
    ]
)
# Capitals that are said as words, not spelled.
_SAID_ACRONYMS = word_set(
    "nasa nato opec unesco unicef covid aids ikea asean lego nike sars laser radar apec sim pin wifi ok "
    "top max pro hot new sale plus live show boss mini nice free good love stop open play game club team vlog"
)
_KNOWN = {
    "the": "DH AH0", "abc": "EY1 / B IY1 / S IY1", "a": "EY1", "iphone": "AY1 . F OW2 N", "ipad": "AY1 . P AE2 D",
    "wifi": "W AY1 . F AY2", "covid": "K OW1 . V IH0 D", "ok": "OW1 . K EY1",
    "app": "AE1 P", "ai": "EY1 / AY1", "chatgpt": "CH AE1 T / JH IY1 / P IY1 / T IY1",
    "wechat": "W IY1 . CH AE2 T",
    "github": "G IH1 T . HH AH2 B", "linux": "L IH1 . N AH0 K S", "vs": "V ER1 . S AH0 S",
    "tiktok": "T IH1 K . T AA2 K",
    "pc": "P IY1 / S IY1", "tv": "T IY1 / V IY1", "dj": "D IY1 / JH EY1", "mc": "EH1 M / S IY1",
    "ppt": "P IY1 / P IY1 / T IY1",
    "ktv": "K EY1 / T IY1 / V IY1", "vip": "V IY1 / AY1 / P IY1", "pdf": "P IY1 / D IY1 / EH1 F",
    "logo": "L OW1 . G OW2", "ctrl": "K AH0 N . T R OW1 L",
    "docx": "D IY1 / OW1 / S IY1 / EH1 K S", "xlsx": "EH1 K S / EH1 L / EH1 S / EH1 K S",
    "pptx": "P IY1 / P IY1 / T IY1 / EH1 K S",
}  # fmt: skip
_ENDINGS = {"ing": ["IH0", "NG"], "er": ["ER0"], "ly": ["L", "IY0"]}
_CAMEL = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+(?:'[a-z]+)*|[A-Z]+(?:'[A-Za-z]+)*|[A-Za-z']+")
_LONGEST_ACRONYM = 4

Said = tuple[int, int, tuple[str, ...]]


@cache
def _lexicon(name: str) -> dict[str, Any]:
    found = importlib.util.find_spec("misaki")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "data" / name
        if path.is_file():
            entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return entries
    return {}


def _look_up(word: str) -> str | None:
    for name in ("us_gold.json", "us_silver.json"):
        entry = _lexicon(name).get(word) or _lexicon(name).get(word.capitalize())
        if isinstance(entry, dict):
            entry = entry.get("DEFAULT")
        if entry:
            return str(entry)
    return None


def say(word: str) -> list[Said]:
    """Return the spoken words of a run of Latin letters: (start, end, ARPAbet syllables) each, offsets in the run.

    ``iPhone`` is one, ``OpenAI`` three (Open, A, I), ``USB`` three letters.
    """
    return [(start, end, tuple(syllables)) for start, end, syllables in _parts(word)]


def _parts(word: str) -> list[Said]:
    known = _KNOWN.get(word.lower())
    if known:
        spoken = [part.split(" . ") for part in known.split(" / ")]
        if len(spoken) == len(word):
            return [(at, at + 1, tuple(syllables)) for at, syllables in enumerate(spoken)]
        return [(0, len(word), tuple(syllables)) for syllables in spoken]
    found: list[Said] = []
    for match in _CAMEL.finditer(word):
        part = match[0]
        if _is_spelled(part, whole=part == word):
            found.extend(
                (match.start() + at, match.start() + at + 1, tuple(LETTERS[letter.lower()].split(" . ")))
                for at, letter in enumerate(part)
                if letter != "'"
            )
        elif part.strip("'"):
            found.append((match.start(), match.end(), pronounce(part)))
    return found


def _is_spelled(part: str, *, whole: bool) -> bool:
    lower = part.lower().replace("'", "")
    if len(lower) == 1:
        return not (whole and part == "I")
    if lower in _SAID_ACRONYMS:
        return False
    if part.isupper() and (len(part) <= _LONGEST_ACRONYM or _look_up(lower) is None):
        return True
    return not re.search("[aeiouy]", lower) and _look_up(lower) is None


@lru_cache(maxsize=16384)
def pronounce(word: str) -> tuple[str, ...]:
    """Return the ARPAbet syllables of one English word, by dictionary, by its parts, or by rule."""
    lower = word.lower()
    phones = _dictionary(lower) or _inflected(lower) or _compound(lower) or guess(lower)
    return tuple(syllabify(_stressed(phones)))


def _dictionary(word: str) -> list[str] | None:
    entry = _look_up(word)
    if entry is None and "'" in word:
        entry = _look_up(word.replace("'", ""))
    return arpabet(entry) if entry else None


def _inflected(word: str) -> list[str] | None:
    """Build the plural, possessive, past or -ing form of a word in the dictionary."""
    for ending, stems in (
        ("'s", (word[:-2],)),
        ("es", (word[:-2], word[:-1])),
        ("s", (word[:-1],)),
        ("ed", (word[:-2], word[:-1])),
        ("ing", (word[:-3], f"{word[:-3]}e")),
        ("er", (word[:-2], word[:-1])),
        ("ly", (word[:-2],)),
    ):
        if not word.endswith(ending):
            continue
        for stem in stems:
            phones = _dictionary(stem) if len(stem) > 2 else None
            if phones:
                return phones + _ending(ending, phones[-1].rstrip("012"))
    return None


def _ending(ending: str, last: str) -> list[str]:
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    if ending == "ed":
        if last in ("T", "D"):
            return ["IH0", "D"]
        return ["T"] if last in ("P", "K", "F", "S", "SH", "CH", "TH") else ["D"]
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return ["IH0", "Z"]
    return ["S"] if last in ("P", "T", "K", "F", "TH") else ["Z"]


def _compound(word: str) -> list[str] | None:
    """Two dictionary words written as one: chatbot."""
    for cut in range(len(word) - 3, 2, -1):
        head, tail = _lexicon("us_gold.json").get(word[:cut]), _lexicon("us_gold.json").get(word[cut:])
        if isinstance(head, str) and isinstance(tail, str):
            return arpabet(head) + [phone.replace("1", "2") for phone in arpabet(tail)]
    return None


def arpabet(notation: str) -> list[str]:
    """Translate the dictionary's notation to ARPAbet with stress digits: ``həlˈO`` → HH AH0 L OW1."""
    phones: list[str] = []
    stress = "0"
    for at, char in enumerate(notation):
        if char in "ˈˌ":
            stress = "1" if char == "ˈ" else "2"
            continue
        phone = _PHONES.get(char)
        if phone is None:
            continue
        if phone == "R" and phones and phones[-1][:-1] in ("AH", "ER") and _is_r_coloured(notation, at):
            phones[-1] = f"ER{phones[-1][-1]}"
        elif phone in VOWELS:
            phones.append(phone + stress)
            stress = "0"
        else:
            phones.append(phone)
    return phones


def _is_r_coloured(notation: str, at: int) -> bool:
    """Tell the r of compute(r) from that of around, where it begins the next syllable."""
    if notation[at - 1] == "ɜ":
        return True
    following = notation[at + 1 : at + 2]
    return notation[at - 1] == "ə" and not (following and (following in "ˈˌ" or _PHONES.get(following) in VOWELS))


def _stressed(phones: list[str]) -> list[str]:
    """Give a content word without primary stress one, on its first vowel (short function words keep none)."""
    vowels = [at for at, phone in enumerate(phones) if phone[-1] in "012"]
    if len(vowels) > 1 and not any(phones[at][-1] == "1" for at in vowels):
        first = vowels[0]
        return [*phones[:first], f"{phones[first][:-1]}1", *phones[first + 1 :]]
    return phones


def syllabify(phones: list[str]) -> list[str]:
    """Cut phones into syllables, each with one vowel and the longest onset English allows."""
    vowels = [at for at, phone in enumerate(phones) if phone[-1] in "012"]
    if len(vowels) < 2:
        return [" ".join(phones)]
    cuts = [0]
    for before, vowel in itertools.pairwise(vowels):
        onset = vowel
        while onset - 1 > before and " ".join(phones[onset - 1 : vowel]) in _ONSETS:
            onset -= 1
        cuts.append(onset)
    cuts.append(len(phones))
    return [" ".join(phones[start:end]) for start, end in itertools.pairwise(cuts)]
