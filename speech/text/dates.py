"""Dates, years, times of day, ratios and scores."""

from __future__ import annotations

import re

from speech.text.numerals import cardinal, digits, number
from speech.text.pieces import Piece, Rule, group, joined, spoken

_YMD = re.compile(
    r"(?P<y>[0-9]{4})(?P<s>[-/.])(?P<m>0?[1-9]|1[0-2])(?P=s)(?P<d>0?[1-9]|[12][0-9]|3[01])(?![0-9]|[-/.][0-9])"
)
_YM = re.compile(r"(?P<y>(?:19|20)[0-9]{2})[-/](?P<m>0[1-9]|1[0-2])(?![-/]?[0-9]|年)")
_YEARS = re.compile(
    r"(?P<a>[12][0-9]{3})(?P<year>年?)\s?(?P<to>[-~—]{1,2})\s?(?P<b>[0-9]{4}|[0-9]{2}(?=年))(?![0-9.%])"
)
_YEAR = re.compile(r"(?P<y>[0-9]{2,4})(?P<word>年代|年)")
_CLASS_OF = re.compile(r"(?P<y>(?:19|20)[0-9]{2})(?=级|届|款|版|赛季|财年|春晚|奥运|世界杯)")
# 5.1劳动节, 911事件: days that became names.
_NAMED_DAY = re.compile(
    r"(?P<m>[0-9]{1,2})[.·]?(?P<d>[0-9]{1,2})(?=[”\"」]?(?:劳动节|国庆|儿童节|事件|事变|晚会|购物节|大促|空难|大地震))"
)
_BORN = re.compile(r"(?P<y>[5-9]0|[019]5|00|10)(?=后(?!来|天|面|边|续|期|台))")
_TIME = re.compile(
    r"(?P<h>[01]?[0-9]|2[0-4]):(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9]))?(?![0-9:])\s?(?P<half>[AaPp]\.?[Mm]\b\.?)?"
    r"(?:\s?(?P<to>[-~—]{1,2})\s?(?=(?:[01]?[0-9]|2[0-4]):[0-5][0-9]))?"
)
_RATIO = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[:：][0-9]+(?:\.[0-9]+)?)+")
_SCORE = re.compile(r"(?P<a>[0-9]{1,3})(?P<to>[-:])(?P<b>[0-9]{1,3})(?![0-9.%:-])")
_SCORE_BEFORE = re.compile(
    r"(?:比分|以|战胜|击败|打败|完胜|险胜|胜|负|赢|输|领先|落后|战平|逼平|踢成|打成)[^，。；！？]{0,8}$"
)
_SCORE_AFTER = re.compile(
    r"\s?(?:击败|战胜|力克|险胜|完胜|大胜|力压|逆转|不敌|负于|惜败|获胜|取胜|晋级|横扫|淘汰|领先|落后|战平|逼平)"
)
_DECADE = re.compile(r"(?P<y>(?:1[0-9]|20)[0-9]0)s(?![A-Za-z0-9])")
# 国办发〔2026〕15号
_FILED = re.compile(r"(?<=[〔\[(（])(?P<y>(?:19|20)[0-9]{2})(?=[〕\])）]\s?第?[0-9]+号)")
_YEARS_LONG = re.compile(r"的?(?:历史|时间|之久|来(?!到|自)|多|前(?!后|夕)|间)")
_PARTS_OF_DAY = re.compile(r"(?:早上|早晨|上午|中午|下午|傍晚|晚上|凌晨|夜里|半夜)$")


def _ymd(match: re.Match[str]) -> list[Piece]:
    return [
        group(match, "y", f"{digits(match['y'])}年"),
        group(match, "m", f"{cardinal(match['m'])}月"),
        group(match, "d", f"{cardinal(match['d'])}日"),
    ]


def _ym(match: re.Match[str]) -> list[Piece]:
    month = cardinal(match["m"]) + ("" if match.string.startswith("月", match.end()) else "月")
    return [group(match, "y", f"{digits(match['y'])}年"), group(match, "m", month)]


def _years(match: re.Match[str]) -> list[Piece] | None:
    first, last = match["a"], match["b"]
    said_year = match["year"] or match.string.startswith("年", match.end())
    if not said_year and not (1000 <= int(first) < int(last) <= 2100):
        return None
    return [
        spoken(digits(first) + match["year"], match.start("a"), match.start("to")),
        group(match, "to", "到"),
        group(match, "b", digits(last)),
    ]


def _year(match: re.Match[str]) -> list[Piece] | None:
    year, word = match["y"], match["word"]
    after = match.string[match.end() : match.end() + 8]
    if word == "年代":
        return [group(match, "y", cardinal(year) if len(year) == 2 else digits(year)), group(match, "word", "年代")]
    if _is_span(year, after) and not match.string.endswith(("公元", "公元前"), 0, match.start()):
        return None
    return [spoken(f"{digits(year)}年", match.start("y"), match.end("word"))]


def _is_span(year: str, after: str) -> bool:
    """Tell 5000年 (a span, read as a number) from 2026年 (a name, read digit by digit)."""
    if len(year) == 2:
        return not (year[0] == "0" or int(year) >= 78) or bool(_YEARS_LONG.match(after))
    if len(year) == 3:
        return True
    round_number = year.endswith("00")
    if _YEARS_LONG.match(after):
        return round_number
    return round_number and not 1100 <= int(year) <= 2100


def _decade(match: re.Match[str]) -> list[Piece]:
    return [spoken(f"{digits(match['y'])}年代", *match.span())]


def _class_of(match: re.Match[str]) -> list[Piece]:
    return [group(match, "y", digits(match["y"]))]


def _time(match: re.Match[str]) -> list[Piece] | None:
    if _SCORE_BEFORE.search(match.string, max(0, match.start() - 12), match.start()):
        return None
    hour, minute, second = match["h"], match["m"], match["s"]
    text = ("两" if int(hour) == 2 else cardinal(hour)) + "点"
    if int(minute) or second:
        text += " " + _two_digits(minute) + "分"
    if second:
        text += " " + _two_digits(second) + "秒"
    if match["half"] and not _PARTS_OF_DAY.search(match.string, max(0, match.start() - 2), match.start()):
        text = ("上午" if match["half"][0] in "Aa" else "下午") + " " + text
    end = match.start("to") if match["to"] else match.end()
    pieces = [spoken(text, match.start(), end)]
    if match["to"]:
        pieces.append(group(match, "to", "到"))
    return pieces


def _two_digits(text: str) -> str:
    return f"零{cardinal(text)}" if text[0] == "0" and text != "00" else cardinal(text)


def _ratio(match: re.Match[str]) -> list[Piece]:
    parts = [number(part) for part in re.split("[:：]", match[0])]
    return [spoken(joined("比", parts), *match.span())]


def _score(match: re.Match[str]) -> list[Piece] | None:
    before = _SCORE_BEFORE.search(match.string, max(0, match.start() - 12), match.start())
    if before is None and _SCORE_AFTER.match(match.string, match.end()) is None:
        return None
    return [group(match, "a", cardinal(match["a"])), group(match, "to", "比"), group(match, "b", cardinal(match["b"]))]


def _named_day(match: re.Match[str]) -> list[Piece]:
    if match.string[match.start() - 1 : match.start()] == "双":
        return [spoken(cardinal(match["m"] + match["d"]), *match.span())]
    # 九一八事变, but 三幺五晚会.
    incident = "事变" in match.string[match.end() : match.end() + 3]
    yao = len(match["m"]) + len(match["d"]) == 3 and "." not in match[0] and not incident
    month = cardinal(match["m"]) if "." in match[0] else digits(match["m"], yao=yao)
    return [spoken(month + digits(match["d"], yao=yao), *match.span())]


RULES: list[Rule] = [
    (_DECADE, _decade), (_FILED, _class_of),
    (_NAMED_DAY, _named_day), (_YMD, _ymd), (_YM, _ym), (_YEARS, _years), (_SCORE, _score), (_TIME, _time),
    (_RATIO, _ratio), (_YEAR, _year), (_CLASS_OF, _class_of), (_BORN, _class_of),
]  # fmt: skip
