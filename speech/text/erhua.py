"""Erhua: 儿 that only colours the syllable before it (specification 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speech.text.characters import word_set
from speech.text.symbols import tables

if TYPE_CHECKING:
    from speech.text.symbols import Unit

# 儿 is a word of its own (a child) in these.
_CHILD_ENDINGS = (
    "女儿", "婴儿", "幼儿", "孤儿", "健儿", "男儿", "胎儿", "生儿", "患儿", "宠儿", "产儿", "血儿", "弃儿", "育儿",
    "托儿", "少儿", "娇儿", "吾儿", "弱儿", "犬儿",
)  # fmt: skip
_CHILD_WORDS = (
    "儿子",
    "儿童",
    "儿女",
    "儿科",
    "儿歌",
    "儿媳",
    "儿孙",
    "儿时",
    "儿戏",
    "儿郎",
    "儿化",
    "儿茶",
    "儿行",
    "儿皇",
)
_CHILDREN = frozenset(("孩儿", "小儿", "我儿"))
_NO_HOST = word_set("的 我 你 他 她 吾 爱 孩 一 这个 那个 和 与 有 生")


def merge_erhua(units: list[Unit]) -> list[Unit]:
    """Return the units with every colouring 儿 merged into its syllable; where no voice has that, 儿 is er5."""
    found: list[Unit] = []
    for unit in units:
        if unit.english or unit.frozen or "儿" not in unit.chars:
            found.append(unit)
            continue
        if unit.text == "儿":
            host = found[-1] if found else None
            if (
                host is None
                or host.english
                or host.frozen
                or host.level > 1
                or host.chars[-1:] == ["儿"]
                or host.end != unit.start
                or host.text in _NO_HOST
            ):
                found.append(unit)
                continue
            host.chars.append("儿")
            host.syllables.append("er5")
            host.end, host.level = unit.end, unit.level
            _colour(host, len(host.chars) - 1)
            continue
        for place in range(len(unit.chars) - 1, 0, -1):
            if unit.chars[place] == "儿" and _colours(unit.text, place):
                _colour(unit, place)
        found.append(unit)
    return found


def _colours(word: str, place: int) -> bool:
    return (
        word not in _CHILDREN
        and not word[: place + 1].endswith(_CHILD_ENDINGS)
        and not word.startswith(_CHILD_WORDS, place)
    )


def _colour(unit: Unit, place: int) -> None:
    base, tone = unit.syllables[place - 1][:-1], unit.syllables[place - 1][-1]
    if base != "er" and f"{base}r" in tables().syllables:
        unit.syllables[place - 1] = f"{base}r{tone}"
        del unit.syllables[place], unit.chars[place]
    else:
        unit.syllables[place] = "er5"
