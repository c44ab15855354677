"""Letter-to-sound rules for English words that no dictionary has: names, brands, inventions.

Rules are (letters before, letters, letters after, phones), tried in order at each place; contexts are regular
expressions. They aim at what a reader would say at first sight, no more.
"""

from __future__ import annotations

import re

from speech.text.characters import word_set

_V = "[aeiouy]"
_C = "[bcdfghjklmnpqrstvwxz]"
_RULES: tuple[tuple[str, str, str, str], ...] = (
    ("", "tion", "", "SH AH0 N"), ("", "sion", "", "ZH AH0 N"), ("", "cious", "", "SH AH0 S"),
    ("", "tious", "", "SH AH0 S"),
    ("", "ture", "", "CH ER0"), ("", "sure", "", "ZH ER0"), ("", "ought", "", "AO T"),
    ("", "aught", "", "AO T"),
    ("", "eigh", "", "EY"), ("", "igh", "", "AY"), ("^", "kn", "", "N"), ("^", "wr", "", "R"),
    ("^", "ps", "", "S"),
    ("^", "gn", "", "N"), ("^", "x", "", "Z"), ("", "tch", "", "CH"), ("", "sch", "", "SH"),
    ("", "ch", "", "CH"),
    ("", "sh", "", "SH"), ("", "zh", "", "JH"), ("", "th", "", "TH"), ("", "ph", "", "F"), ("", "wh", "", "W"),
    ("", "ck", "", "K"), ("", "gh", "", "G"),
    ("", "ng", "$|[^aeiouy]", "NG"), ("", "nk", "", "NG K"), ("", "qu", "", "K W"), ("", "q", "", "K"),
    ("", "dge", "", "JH"),
    ("", "eau", "", "OW"), ("", "oo", "", "UW"), ("", "ee", "", "IY"), ("", "ea", "", "IY"),
    ("", "ei", "", "EY"),
    ("", "ie", "$", "IY"), ("", "ie", "", "IY"), ("", "ai", "", "EY"), ("", "ay", "", "EY"),
    ("", "au", "", "AO"),
    ("", "aw", "", "AO"), ("", "oa", "", "OW"), ("", "oi", "", "OY"), ("", "oy", "", "OY"),
    ("", "ou", "", "AW"),
    ("", "ow", "$", "OW"), ("", "ow", "", "AW"), ("", "ew", "", "UW"), ("", "eu", "", "UW"),
    ("", "ue", "$", "UW"),
    ("", "ui", "", "UW"), ("", "ey", "$", "IY"), ("", "ar", f"$|{_C}", "AA R"), ("", "er", f"$|{_C}", "ER"),
    ("", "ir", f"$|{_C}", "ER"), ("", "ur", f"$|{_C}", "ER"), ("", "or", f"$|{_C}|e$", "AO R"),
    ("", "are", "$", "EH R"),
    ("", "ere", "$", "IH R"), ("", "ire", "$", "AY ER"), ("", "ore", "$", "AO R"), ("", "ure", "$", "UH R"),
    ("", "a", f"(?:{_C}|th|ch|sh)e$", "EY"), ("", "i", f"(?:{_C}|th|ch|sh)e$", "AY"),
    ("", "o", f"(?:{_C}|th|ch|sh)e$", "OW"),
    ("", "u", f"(?:{_C}|th|ch|sh)e$", "UW"), ("", "e", f"(?:{_C})e$", "IY"), (f"{_C}", "le", "$", "AH0 L"),
    (_V + ".*", "e", "$", ""),
    (_V + ".*", "es", "$", "Z"), ("", "a", "$", "AH0"), ("", "a", "", "AE"), ("", "e", "$", "IY"),
    ("", "e", "", "EH"),
    ("", "i", "$", "IY"), ("", "i", f"{_V}", "IY"), ("", "i", "", "IH"), ("", "o", "$", "OW"),
    ("", "o", "", "AA"),
    ("", "u", "$", "UW"), ("", "u", f"{_C}{_V}", "UW"), ("", "u", "", "AH"), ("^", "y", f"{_V}", "Y"),
    (f"{_V}", "y", f"{_V}", "Y"),
    ("^" + _C + "+", "y", "$", "AY"), ("", "y", "$", "IY"), ("", "y", "", "IH"), ("", "cc", "[eiy]", "K S"),
    ("", "c", "[eiy]", "S"),
    ("", "c", "", "K"), ("", "g", "[eiy]", "JH"), ("", "g", "", "G"), (_V, "s", _V, "Z"),
    ("", "s", "", "S"), ("", "x", "", "K S"),
    ("", "j", "", "JH"), ("", "h", "$", ""), ("", "h", "", "HH"), ("", "b", "", "B"), ("", "d", "", "D"),
    ("", "f", "", "F"),
    ("", "k", "", "K"), ("", "l", "", "L"), ("", "m", "", "M"), ("", "n", "", "N"), ("", "p", "", "P"),
    ("", "r", "", "R"),
    ("", "t", "", "T"), ("", "v", "", "V"), ("", "w", _V, "W"), ("", "w", "", ""), ("", "z", "", "Z"),
)  # fmt: skip
_COMPILED = tuple(
    (re.compile(f"(?:{before})$" if before else ""), letters, re.compile(after), phones.split())
    for before, letters, after, phones in _RULES
)
_VOWEL_PHONES = word_set("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
# Endings that pull the stress to the syllable before them.
_STRESS_BEFORE = re.compile("(?:tion|sion|ic|ical|ity|ian|ious|eous)$")


def guess(word: str) -> list[str]:
    """Return ARPAbet phones with stress digits for a lower-case word."""
    word = re.sub(r"([b-df-hj-np-tv-z])\1", r"\1", word.replace("'", ""))
    phones: list[str] = []
    at = 0
    while at < len(word):
        for before, letters, after, said in _COMPILED:
            end = at + len(letters)
            if word.startswith(letters, at) and before.search(word, 0, at) and after.match(word, end):
                phones.extend(said)
                at = end
                break
        else:
            at += 1
    return _with_stress(word, phones) or ["AH1"]


def _with_stress(word: str, phones: list[str]) -> list[str]:
    vowels = [at for at, phone in enumerate(phones) if phone.rstrip("0") in _VOWEL_PHONES]
    full = [at for at in vowels if not phones[at].endswith("0")] or vowels
    stressed = full[-1] if _STRESS_BEFORE.search(word) and len(full) > 1 else full[0] if full else -1
    return [
        f"{phone.rstrip('0')}{1 if at == stressed else 0}" if at in vowels else phone for at, phone in enumerate(phones)
    ]
