"""Amounts: plain numbers, decimals, ranges, units, money, percentages, fractions, signs between numbers."""

from __future__ import annotations

import re

from speech.text.numerals import WRITTEN, cardinal, number
from speech.text.pieces import Piece, Rule, group, joined, pause, spoken
from speech.text.segment import MEASURES
from speech.text.units import DEGREES, MONEY, MONEY_CODE, MONEY_NAMED, MONEY_SIGN, UNIT, unit_name

_MINUS = r"(?:(?<![A-Za-z0-9)\]])-)"
_LARGE = r"(?:万亿|千万|百万|[百千万亿])"
_RANGE = re.compile(
    rf"(?P<minus>{_MINUS})?(?P<a>{WRITTEN})\s?(?P<ua>{UNIT}|%|‰|{_LARGE})?\s?(?P<to>[-~—]{{1,2}})\s?(?P<minus2>-)?(?P<b>{WRITTEN})"
    rf"\s?(?P<ub>{UNIT}|%|‰)?(?![0-9]|\s?=|\s?[-+×*÷][0-9])"
)
_MONEY_BEFORE = re.compile(
    rf"(?P<sign>{_MINUS})?(?P<money>{MONEY_SIGN})\s?(?P<minus>-)?(?P<a>{WRITTEN})(?:\s?(?P<to>[-~—])\s?(?:{MONEY_SIGN})?(?P<b>{WRITTEN}))?"
    rf"(?P<large>{_LARGE}|[KMB](?![A-Za-z]))?(?P<per>/(?=[\u4e00-\u9fff]))?"
)
_MONEY_AFTER = re.compile(rf"(?P<a>{WRITTEN})(?P<large>{_LARGE})?\s?(?P<money>{MONEY_CODE})")
_PERCENT = re.compile(rf"(?P<minus>{_MINUS})?(?P<a>{WRITTEN})\s?(?P<sign>[%‰])")
_MIXED = re.compile(r"(?P<whole>[0-9]+)[ 又](?P<a>[0-9]+)/(?P<b>[1-9][0-9]*)(?![0-9/.])")
_FRACTION = re.compile(rf"(?P<minus>{_MINUS})?(?P<a>[0-9]+)/(?P<b>[1-9][0-9]*)(?![0-9/.]|\s?[A-Za-z])")
# 130/85 of a blood pressure is two numbers.
_BLOOD_PRESSURE = ("血压", "血压为", "血压是", "血压：", "血压:", "血压约", "血压值")
# With what it is counted on: 5mg/L, 8L/100km, 2kg/人.
_UNIT_NUMBER = re.compile(
    rf"(?P<minus>{_MINUS})?(?P<a>{WRITTEN})\s?(?P<unit>{UNIT})(?P<per>/(?P<each>[0-9]*)(?:(?P<base>{UNIT})|(?=[\u4e00-\u9fff])))?"
)
# 39°54′26″
_ANGLE = re.compile(r"(?P<d>[0-9]+)°(?P<m>[0-9]+(?:\.[0-9]+)?)['′](?:(?P<s>[0-9]+(?:\.[0-9]+)?)[\"″])?")
_CLOCKED = re.compile(r"(?P<h>[0-9]+)h\s?(?P<m>[0-9]+)\s?min(?![A-Za-z])")
# 10w, 3k个: ten thousands and thousands as they are written in chats.
_CHAT = re.compile(rf"(?P<a>{WRITTEN})(?P<large>w(?![A-Za-z0-9])|k(?=\+|个|块|元|人|字|多))")
_OPERATION = re.compile(
    r"(?<=[0-9A-Za-zα-ω²³%)\]])\s?(?P<sign>[+×÷*=<>≈≠≤≥≡]|[-xX](?=\s?[0-9.]+\s?=)|(?<=[0-9])[xX](?=[0-9]))\s?(?=[-(\[]?[0-9A-Za-zα-ω√])"
)
_PER = re.compile(rf"(?<=[元块次人个吨克斤米里升度页字转瓦万亿千])/(?:(?P<unit>{UNIT})|(?=[\u4e00-\u9fff]))")
_NEGATIVE = re.compile(rf"{_MINUS}(?P<a>{WRITTEN})")
_SIGN = re.compile(r"(?:(?<![A-Za-z0-9])\+|±)(?=[0-9])")
_PLAIN = re.compile(rf"(?P<a>{WRITTEN})")
_ORDINAL_BEFORE = re.compile(r"(?:第|[Nn]o\.\s?)$")
_OPERATORS = {
    "+": "加", "-": "减", "×": "乘", "x": "乘", "X": "乘", "*": "乘", "÷": "除以", "=": "等于", "<": "小于",
    ">": "大于",
    "≈": "约等于", "≠": "不等于", "≤": "小于等于", "≥": "大于等于", "≡": "恒等于",
}  # fmt: skip
_SUFFIXES = {"K": "千", "M": "百万", "B": "十亿"}
# Before these a lone 2 is 两; 月, 日, 号, 楼 and other names of places in a row keep 二.
_COUNTED = re.compile(
    rf"\s?(?:多|几)?(?:(?!月|日|号|次方|楼|级|年级|度|届|期|章|节|课|页|世纪|年代|层|回)(?:{MEASURES})|千|万|亿|元|天|周|倍|者|人)"
)


def _amount(text: str, after: str = "", *, ordinal: bool = False) -> str:
    """Read a number; a lone 2 before something counted is 两."""
    if text == "2" and not ordinal and _COUNTED.match(after):
        return "两"
    return _price(text) if MONEY_NAMED.match(after) else number(text)


def _range(match: re.Match[str]) -> list[Piece] | None:
    unit_a, unit_b = match["ua"], match["ub"]
    if match["to"] in ("—", "——") and not (unit_a or unit_b or match.string[match.end() : match.end() + 1]):
        return None
    degrees = unit_b in DEGREES or unit_a in DEGREES
    if match["to"] == "-" and not (unit_a or unit_b) and _falls(match):
        word = "比" if len(match["a"]) < 4 else "杠"
        return [spoken(joined(word, [number(match["a"]), number(match["b"])]), *match.span())]
    first = _signed(match["minus"], match["a"], degrees=degrees)
    second = _signed(match["minus2"], match["b"], degrees=degrees)
    after = unit_name(unit_b) if unit_b and unit_b not in "%‰" else match.string[match.end() :]
    if match["a"] == "2" and not match["minus"] and _COUNTED.match(after):
        first = "两"
    if unit_b and unit_b in "%‰":
        first, second = joined(_of(unit_b), ["", first]), joined(_of(unit_b), ["", second]) if unit_a else second
    elif unit_a and unit_a not in "%‰":
        first += unit_a if unit_a[0] in "万亿千百" else unit_name(unit_a)
    pieces = [
        spoken(first, match.start(), match.start("to")),
        group(match, "to", "到"),
        spoken(second, match.end("to"), match.end("b")),
    ]
    if unit_b and unit_b not in "%‰":
        pieces.append(group(match, "ub", unit_name(unit_b)))
    elif unit_b:
        pieces[-1] = spoken(second, match.end("to"), match.end())
    return pieces


def _falls(match: re.Match[str]) -> bool:
    """Tell a score (3-1) from a range by its falling; what is counted behind it makes a range of anything."""
    counted = re.compile(r"\s?[\u4e00-\u9fff]").match(match.string, match.end())
    whole = match["a"].isdigit() and match["b"].isdigit()
    return counted is None and whole and not match["minus"] and int(match["a"]) > int(match["b"])


def _price(text: str) -> str:
    """Read an amount of money; nobody says the noughts of 12.00."""
    return number(text.removesuffix(".00"))


def _signed(minus: str | None, text: str, *, degrees: bool = False) -> str:
    return (("零下" if degrees else "负") if minus else "") + number(text)


def _of(sign: str) -> str:
    return "百分之" if sign == "%" else "千分之"


def _money_before(match: re.Match[str]) -> list[Piece]:
    large = match["large"] or ""
    large = _SUFFIXES.get(large, large)
    named = MONEY_NAMED.match(match.string, match.end())
    money = "" if named else MONEY[match["money"]]
    sign = "负" if match["sign"] or match["minus"] else ""
    two = match["a"] == "2" and not match["b"]
    first = "两" if two and (large or match["money"] in "¥$€£") else _price(match["a"])
    text = f"{sign}{first}"
    if match["b"]:
        text += f" 到 {number(match['b'])}"
    per = " 每" if match["per"] else ""
    return [spoken(f"{text}{large} {money}".rstrip() + per, *match.span())]


def _money_after(match: re.Match[str]) -> list[Piece]:
    return [
        group(match, "a", _amount(match["a"], "元") + (match["large"] or "")),
        group(match, "money", MONEY[match["money"]]),
    ]


def _percent(match: re.Match[str]) -> list[Piece]:
    amount = "百" if match["a"] == "100" else number(match["a"])
    sign = "负 " if match["minus"] else ""
    return [spoken(sign + joined(_of(match["sign"]), ["", amount]), *match.span())]


def _mixed(match: re.Match[str]) -> list[Piece]:
    text = f"{cardinal(match['whole'])}又 " + joined("分之", [cardinal(match["b"]), cardinal(match["a"])])
    return [spoken(text, *match.span())]


def _fraction(match: re.Match[str]) -> list[Piece]:
    if match.string.endswith(_BLOOD_PRESSURE, 0, match.start()):
        slash = Piece("break", "/", match.end("a"), match.start("b"), level=2)
        return [group(match, "a", number(match["a"])), slash, group(match, "b", number(match["b"]))]
    sign = "负 " if match["minus"] else ""
    return [spoken(sign + joined("分之", [cardinal(match["b"]), cardinal(match["a"])]), *match.span())]


def _unit_number(match: re.Match[str]) -> list[Piece]:
    unit = unit_name(match["unit"])
    degrees = match["unit"] in DEGREES
    amount = "两" if match["a"] == "2" and not degrees and unit != "度" and not match["minus"] else number(match["a"])
    sign = ("零下" if degrees else "负") if match["minus"] else ""
    pieces = [spoken(f"{sign}{amount}", match.start(), match.end("a")), group(match, "unit", unit)]
    if match["per"]:
        each = cardinal(match["each"]) if match["each"] not in ("", "1") else ""
        base = unit_name(match["base"]) if match["base"] else ""
        pieces.append(group(match, "per", f"每{each}{base}"))
    return pieces


def _angle(match: re.Match[str]) -> list[Piece]:
    said = f"{cardinal(match['d'])}度 {number(match['m'])}分"
    return [spoken(said + (f" {number(match['s'])}秒" if match["s"] else ""), *match.span())]


def _clocked(match: re.Match[str]) -> list[Piece]:
    return [spoken(f"{_amount(match['h'], '个')} 小时 {cardinal(match['m'])}分钟", *match.span())]


def _chat(match: re.Match[str]) -> list[Piece]:
    amount = "两" if match["a"] == "2" else number(match["a"])
    return [spoken(amount + ("万" if match["large"] == "w" else "千"), *match.span())]


def _operation(match: re.Match[str]) -> list[Piece]:
    return [group(match, "sign", _OPERATORS[match["sign"]])]


def _per(match: re.Match[str]) -> list[Piece]:
    return [spoken("每" + (unit_name(match["unit"]) if match["unit"] else ""), *match.span())]


def _negative(match: re.Match[str]) -> list[Piece]:
    return [spoken(f"负{number(match['a'])}", *match.span())]


def _sign(match: re.Match[str]) -> list[Piece]:
    return [spoken("正" if match[0] == "+" else "正负", *match.span())]


def _plain(match: re.Match[str]) -> list[Piece]:
    source = match.string
    listed = re.match(r"\.(?=\s|[\u4e00-\u9fff])", source[match.end() : match.end() + 2])
    if listed and not source[: match.start()].strip():
        return [spoken(number(match["a"]), match.start(), match.end() + 1), pause(match, 3)]
    ordinal = _ORDINAL_BEFORE.search(source, max(0, match.start() - 4), match.start()) is not None
    return [spoken(_amount(match["a"], source[match.end() : match.end() + 4], ordinal=ordinal), *match.span())]


NUMBER_RULES: list[Rule] = [
    (_ANGLE, _angle), (_CLOCKED, _clocked), (_CHAT, _chat),
    (_MIXED, _mixed), (_FRACTION, _fraction), (_MONEY_AFTER, _money_after), (_RANGE, _range),
    (_PERCENT, _percent),
    (_UNIT_NUMBER, _unit_number),
]  # fmt: skip
PLAIN_RULES: list[Rule] = [(_PLAIN, _plain)]
SIGN_RULES: list[Rule] = [
    (_OPERATION, _operation), (_MONEY_BEFORE, _money_before), (_RANGE, _range), (_FRACTION, _fraction),
    (_PERCENT, _percent), (_UNIT_NUMBER, _unit_number), (_PER, _per), (_NEGATIVE, _negative), (_SIGN, _sign),
]  # fmt: skip
LETTER_RULES: list[Rule] = [(_MONEY_BEFORE, _money_before), (_OPERATION, _operation)]
