"""Breaks between words: which run together, and where a long stretch is phrased (specification 5.3)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from speech.text.characters import word_set
from speech.text.segment import MEASURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speech.text.symbols import Unit

# Words that lean on the word before them.
_CLITICS = word_set("的 地 得 了 着 过 吗 呢 吧 啊 呀 么 们 嘛 啦 哪 哇 呗 喽 之 里 上 下 中 内 外 似的 的话 时 后 前")
# Words that lean on the word after them.
_PROCLITICS = word_set("不 没 很 太 最 更 真 小 老 大 第 再 别 这 那 每 某 各 一 几 多")
# Family names that are hardly anything else; a given name follows.
_SURNAMES = frozenset(
    "李王张刘陈杨赵吴徐孙胡朱郭罗梁宋郑谢韩唐冯董萧曹袁邓许傅沈彭吕苏卢蒋蔡贾魏薛阎潘杜戴姜谭廖邹郝崔邱秦侯邵孟尹黎龚"
)
_MEASURE_WORDS = frozenset(MEASURES.split("|"))
# A phrase may well begin with one of these.
_PHRASE_STARTERS = word_set(
    "和 跟 与 及 以及 或 或者 在 从 到 向 往 对 对于 关于 把 被 给 让 叫 "
    "使 将 由 因为 所以 但是 但 可是 不过 如果 要是 虽然 而 而且 并 并且 就 "
    "也 都 才 还 又 再 却 只 是 有 没有 要 会 能 可以 应该 必须 一边 一直 "
    "已经 正在 终于 忽然 突然 为了 为 比 用 以 按照 根据 通过 经过除了 自从 当 "
    "直到 至 于是 然后 因此 那么 则 即 非常 十分 特别 慢慢地 我们 他们 她们 你们 "
    "它们"
)
_LAST_NUMERALS = frozenset("零一二三四五六七八九十百千万亿两几半")
_LONGEST_PHRASE = 9
_SHORTEST_PHRASE = 3
_LONGEST_FOOT = 4


def set_breaks(units: Sequence[Unit]) -> None:
    """Set the levels between words: 0 where words run together, 2 inside stretches too long for one breath."""
    _run_together(units)
    start = 0
    for index, unit in enumerate(units):
        if unit.level >= 2 or index == len(units) - 1:
            _phrase(units, start, index + 1)
            start = index + 1


def _run_together(units: Sequence[Unit]) -> None:
    foot = 0
    for before, unit in itertools.pairwise(units):
        foot += len(before.syllables)
        length = foot + len(unit.syllables)
        if before.level == 1 and _leans(before, unit, length, lone=foot == 1):
            before.level = 0
        else:
            foot = 0


def _leans(before: Unit, unit: Unit, length: int, *, lone: bool) -> bool:
    if before.english or unit.english:
        letters = len(before.syllables) == len(unit.syllables) == 1 and before.end == unit.start
        return before.english and unit.english and letters
    if (unit.text in _CLITICS and before.end == unit.start) or (before.text == "第" and unit.number):
        return True
    counted = before.number or before.text[-1:] in _LAST_NUMERALS
    if counted and unit.text in _MEASURE_WORDS:
        return length <= _LONGEST_FOOT + 1
    if length > _LONGEST_FOOT or unit.number or before.number:
        return False
    if before.text in _PROCLITICS or (before.text in _SURNAMES and len(unit.syllables) <= 2):
        return True
    pair = lone and len(unit.syllables) == 1
    return pair and unit.text not in _PROCLITICS and unit.text not in _SURNAMES


def _phrase(units: Sequence[Unit], start: int, end: int) -> None:
    """Split a stretch of more than nine syllables at its best word boundary, then its parts."""
    total = sum(len(unit.syllables) for unit in units[start:end])
    if total <= _LONGEST_PHRASE:
        return
    best, best_score = -1, 0.0
    before = 0
    for index in range(start, end - 1):
        unit = units[index]
        before += len(unit.syllables)
        if unit.level != 1 or min(before, total - before) < _SHORTEST_PHRASE:
            continue
        counted = index > start and (units[index - 1].number or units[index - 1].text[-1:] in _LAST_NUMERALS)
        score = 1.0 - abs(2 * before - total) / total + _goodness(unit, units[index + 1], counted=counted)
        if best < 0 or score > best_score:
            best, best_score = index, score
    if best < 0:
        return
    units[best].level = 2
    _phrase(units, start, best + 1)
    _phrase(units, best + 1, end)


def _goodness(unit: Unit, following: Unit, *, counted: bool) -> float:
    """How natural a pause is between two words; ``counted`` if the first may be the measure of a number."""
    if unit.text[-1:] in _LAST_NUMERALS and following.text in _MEASURE_WORDS:
        return -1.0
    if following.text in _PHRASE_STARTERS:
        return -0.25 if unit.number and following.text in ("到", "比") else 0.5
    if unit.number:
        # A number and its unit, or its parts: 零下二百七十三点一五|摄氏度.
        return -0.5 if following.number else -1.5
    if unit.text in _PHRASE_STARTERS or following.number:
        return -1.0 if unit.text in _PHRASE_STARTERS and following.number else -0.5
    if unit.text == "的" or (counted and unit.text[-1:] in _MEASURE_WORDS):
        return -0.25
    return 0.1 if unit.text in ("了", "着") else 0.0
