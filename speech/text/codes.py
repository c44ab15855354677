"""Numbers that are names, read digit by digit: telephones, addresses of machines, versions, rooms, codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from speech.text.characters import word_set
from speech.text.numerals import cardinal, digits
from speech.text.pieces import Piece, Rule, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOBILE = re.compile(r"(1[3-9][0-9])[- ]?([0-9]{4})[- ]?([0-9]{4})(?![0-9])")
_LANDLINE = re.compile(r"(0[0-9]{2,3})[- )）]{1,2}([0-9]{3,4})([- ]?)([0-9]{4})(?:-([0-9]{1,4}))?(?![0-9])")
_TAIWAN = re.compile(r"(0[2-8])-([0-9]{3,4})-([0-9]{4})(?![0-9])")
# 波音737-800: the model and its make.
_JET = re.compile(r"(?:(?<=波音)|(?<=空客))([37][0-9][07])(?:-([0-9]{1,3}))?(?![0-9])")
# 歼-20, 东风-41: the dash is neither minus nor said.
_MODEL_DASH = re.compile(
    r"(?:(?<=[歼轰运直强教苏])|(?<=东风|红旗|长征|鹰击|霹雳|巨浪|米格|图波|神舟|嫦娥|天宫|天问|伊尔|空警|翼龙|彩虹|攻击|新冠))-(?=[0-9])"
)
# GB/T 7714-2015
_STANDARD = re.compile(r"([0-9]{3,6}(?:\.[0-9]+)?)-((?:19|20)[0-9]{2})(?![0-9])")
_STANDARDS_BODY = re.compile(r"(?:GB|ISO|IEC|IEEE|DB|HJ|YY|JB|QB)(?:/[TZ])?\s?$")
_SERVICE_LINE = re.compile(r"([48]00)-?([0-9]{3})-?([0-9]{4})(?![0-9])|([48]00)-([0-9]{4})-([0-9]{3})(?![0-9])")
_CARD = re.compile(r"[0-9]{4}(?: [0-9]{4}){2,4}(?: [0-9]{1,3})?(?![0-9])")
_CHINA = re.compile(r"\+86[- ]?(?=1[3-9][0-9])")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){2,}")
_DASHED = re.compile(r"[0-9]+(?:-[0-9]+){2,}(?![0-9])")
_WHOLE = re.compile(r"[0-9]+(?![0-9]|,[0-9]{3}|\.[0-9])")
_ID_CARD = re.compile(r"[0-9]{17}[0-9Xx](?![0-9A-Za-z])")
_NAMED_BEFORE = re.compile(
    r"(?:电话|手机|热线|号码|编号|卡号|账号|帐号|密码|验证码|口令|邮编|邮政编码|代码|工号|学号|身份证|QQ|微信|单号|车牌|尾号|"
    r"房间|门牌|拨打|拨通|致电|报警|客服|航班|车次|传真|按下?|转|端口|代号|波音|空客)(?:号码|号)?[是为在：:]?\s?$"
)
_CALL_BEFORE = re.compile(r"(?:打|拨|呼叫|求助)了?\s?$")
_EMERGENCY_AFTER = re.compile(r"(?:报警|急救|火警|救护|热线|电话|服务台|指挥|平台|客服)")
_WELL_KNOWN = word_set("10010 10086 12306 12315 12333 12348 12366 95588")
_SERVICE_NUMBERS = word_set("110 112 114 119 120 122 10000 10010 10086 12306 12315 12345 12348 12355 12393 12580")
_ROOM_AFTER = re.compile(
    r"(?:号房|房间|房|室|教室|号线?病房|号(?!线|人)|路(?:公交|汽车|车|电车)?|国道|省道|次列车|次航班|次(?:高铁|动车|特快))"
)
# Not the x of 1920x1080.
_LETTERS_BEFORE = re.compile(r"(?:(?:^|[^0-9])[A-Za-z]|[A-Za-z]{2})[-·•]?$")
_DATED_AFTER = re.compile("[年月日号时点分秒]")
_MEASURED_AFTER = re.compile(r"(?:[亿万千百]|元|块|美元|人|个|次|米|公里|吨|年|页|字|户|平方)")


def _digits_of(
    match: re.Match[str], parts: Sequence[str | None], between: str = "|", *, yao: bool = True
) -> list[Piece]:
    """Read the parts of a match digit by digit."""
    return [spoken(between.join(digits(part, yao=yao) for part in parts if part), *match.span())]


def _mobile(match: re.Match[str]) -> list[Piece]:
    return _digits_of(match, match.groups())


def _landline(match: re.Match[str]) -> list[Piece] | None:
    closed = match.string[match.end(1) : match.end(1) + 1] in ")）"
    if closed and match.string[match.start() - 1 : match.start()] not in ("(", "（"):
        return None
    parts = [match[1], match[2] + match[4]] if not match[3] else [match[1], match[2], match[4]]
    text = "|".join(digits(part, yao=True) for part in parts)
    if match[5]:
        text += f"|转 {digits(match[5], yao=True)}"
    return [spoken(text, *match.span())]


def _service_line(match: re.Match[str]) -> list[Piece]:
    return _digits_of(match, match.groups())


def _card(match: re.Match[str]) -> list[Piece]:
    return _digits_of(match, match[0].split(" "))


def _china(match: re.Match[str]) -> list[Piece]:
    return [spoken("加 八六|", match.start(), match.start() + 3)]


def _jet(match: re.Match[str]) -> list[Piece]:
    return _digits_of(match, match.groups(), " ", yao=False)


def _standard(match: re.Match[str]) -> list[Piece] | None:
    if not _STANDARDS_BODY.search(match.string, max(0, match.start() - 8), match.start()):
        return None
    number = " 点 ".join(digits(part) for part in match[1].split("."))
    return [spoken(f"{number} 杠 {digits(match[2])}", *match.span())]


def _model_dash(match: re.Match[str]) -> list[Piece]:
    return [Piece("break", "-", *match.span(), level=1)]


def _dotted(match: re.Match[str]) -> list[Piece]:
    first, *others = match[0].split(".")
    if len(others) == 2 and len(first) == 2 and first[0] != "0":
        # A version: 18.1.1 begins with eighteen.
        return [spoken("点".join([cardinal(first), *map(digits, others)]), *match.span())]
    return _digits_of(match, [first, *others], "点", yao=False)


def _dashed(match: re.Match[str]) -> list[Piece]:
    return _digits_of(match, match[0].split("-"), " 杠 ")


def _id_card(match: re.Match[str]) -> list[Piece]:
    text = match[0]
    parts = [text[:6], text[6:14], text[14:].rstrip("Xx")]
    pieces = [
        spoken("|".join(digits(part, yao=True) for part in parts), match.start(), match.end() - (text[-1] in "Xx"))
    ]
    if text[-1] in "Xx":
        pieces.append(Piece("latin", "X", match.end() - 1, match.end()))
    return pieces


def _code(match: re.Match[str]) -> list[Piece] | None:
    """Read a whole number that context, length or a leading zero makes a name; None for an amount."""
    text, source = match[0], match.string
    if _after_letters(match):
        return [spoken(_after_letters_reading(text), *match.span())]
    if text in _WELL_KNOWN:
        return [spoken(digits(text, yao=True), *match.span())]
    named = _NAMED_BEFORE.search(source, max(0, match.start() - 12), match.start())
    if named is None and text in _SERVICE_NUMBERS:
        named = _CALL_BEFORE.search(source, max(0, match.start() - 5), match.start()) or _EMERGENCY_AFTER.match(
            source, match.end()
        )
    if named is None and len(text) >= 3 and source[match.start() - 1 : match.start()] != "第":
        named = None if text.endswith("00") else _ROOM_AFTER.match(source, match.end())
    if named is not None and not (len(text) < 3 and text[0] != "0"):
        return [spoken(_in_groups(text, yao=True), *match.span())]
    leading_zero = len(text) > 1 and text[0] == "0" and not _DATED_AFTER.match(source, match.end())
    too_long = len(text) >= 9 and not text.endswith("0000") and not _MEASURED_AFTER.match(source, match.end())
    if leading_zero or too_long:
        return [spoken(_in_groups(text, yao=False), *match.span())]
    return None


def _after_letters(match: re.Match[str]) -> bool:
    """Tell whether the number belongs to letters before it: A380, GPT-4."""
    return _LETTERS_BEFORE.search(match.string, max(0, match.start() - 3), match.start()) is not None


def _after_letters_reading(text: str) -> str:
    if len(text) <= 2 and text[0] != "0":
        return cardinal(text)
    return digits(text, yao=len(text) > 2)


def _in_groups(text: str, *, yao: bool) -> str:
    """Read in groups of four when long, so that nobody runs out of breath."""
    if len(text) <= 6:
        return digits(text, yao=yao)
    return "|".join(digits(text[at : at + 4], yao=yao) for at in range(0, len(text), 4))


RULES: list[Rule] = [
    (_ID_CARD, _id_card), (_CARD, _card), (_MOBILE, _mobile), (_LANDLINE, _landline), (_TAIWAN, _service_line),
    (_SERVICE_LINE, _service_line), (_JET, _jet),
    (_STANDARD, _standard),
]  # fmt: skip
SIGN_RULES: list[Rule] = [(_CHINA, _china), (_MODEL_DASH, _model_dash)]
# Tried after dates, times and ranges had their say.
LATE_RULES: list[Rule] = [(_DOTTED, _dotted), (_DASHED, _dashed), (_WHOLE, _code)]
