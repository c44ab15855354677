"""Arabic numbers to Chinese words. Blanks in what these functions return are word boundaries."""

from __future__ import annotations

# A number as it is written, with or without thousands commas and decimals: a regular expression.
WRITTEN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"
_DIGITS = "零一二三四五六七八九"
_SMALL_UNITS = ("", "十", "百", "千")
_LARGE_UNITS = ("", "万", "亿", "万亿")
# Longer numbers are read digit by digit: nobody says them.
_MOST_DIGITS = 16
# A number of more syllables is spoken as several words, cut after 亿 and 万.
_ONE_WORD = 5


def digits(text: str, *, yao: bool = False) -> str:
    """Read digit by digit: ``2026`` → 二零二六; with ``yao`` a 1 is 幺, as in telephone numbers."""
    spoken = "".join(_DIGITS[int(char)] for char in text)
    return spoken.replace("一", "幺") if yao else spoken


def cardinal(text: str) -> str:
    """Read a whole number of ASCII digits: ``12345`` → 一万 两千三百四十五, ``10`` → 十, ``0`` → 零."""
    text = text.lstrip("0") or "0"
    if text == "0":
        return "零"
    if len(text) > _MOST_DIGITS:
        return digits(text)
    groups = []
    while text:
        groups.append(text[-4:])
        text = text[:-4]
    parts: list[str] = []
    gap = False
    for power in range(len(groups) - 1, -1, -1):
        group = groups[power]
        if int(group) == 0:
            gap = True
            continue
        spoken = _below_ten_thousand(group)
        if parts and (gap or group.startswith("0")):
            spoken = f"零{spoken}"
        if not parts and int(group) == 2 and power:
            spoken = "两"
        parts.append(spoken + _large_unit(power, groups))
        gap = False
    spoken = "".join(parts)
    if spoken.startswith("一十"):
        spoken = spoken[1:]
        parts[0] = parts[0][1:]
    return spoken if len(spoken) <= _ONE_WORD else " ".join(parts)


def _large_unit(power: int, groups: list[str]) -> str:
    """万 of 万亿 stands alone only while its 亿 still follows: 一万 两千亿, but 一万亿."""
    if power == 3 and int(groups[2]) != 0:
        return "万"
    return _LARGE_UNITS[power]


def _below_ten_thousand(text: str) -> str:
    text = text.lstrip("0")
    spoken, gap = "", False
    for place, char in enumerate(text):
        power = len(text) - 1 - place
        if char == "0":
            gap = True
            continue
        if gap and spoken:
            spoken += "零"
        gap = False
        leading_two = char == "2" and (power == 3 or (power == 2 and not spoken))
        spoken += ("两" if leading_two else _DIGITS[int(char)]) + _SMALL_UNITS[power]
    return spoken


def number(text: str) -> str:
    """Read a number with optional thousands commas and decimals: ``1,234.50`` → 一千两百三十四点五零."""
    whole, _, fraction = text.replace(",", "").partition(".")
    spoken = cardinal(whole)
    return f"{spoken}点{digits(fraction)}" if fraction else spoken
