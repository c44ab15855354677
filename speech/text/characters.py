"""Single characters: folding wide and accented forms (one for one), spoken names of signs, pauses of punctuation."""

from __future__ import annotations

import unicodedata
from functools import cache

# Break levels (specification 5.3): 1 word, 2 phrase, 3 intonation phrase; a sentence end inside a line is 3 too.
PAUSES = {
    **dict.fromkeys("，,；;：:。！？!?…—.", 3),
    **dict.fromkeys("、（）()【】[]｛｝{}〔〕|", 2),
    **dict.fromkeys("《》〈〉<>“”‘’「」『』\"'·•・‧\u3000\t \n\r\u00a0", 1),
}
# Signs that are spoken wherever they stand.
SIGN_NAMES = {
    "℃": "摄氏度", "℉": "华氏度", "°": "度", "%": "百分号", "‰": "千分号", "㎡": "平方米", "㎏": "千克",
    "㎝": "厘米",
    "㎜": "毫米", "㎞": "公里", "&": "和", "@": "艾特", "√": "根号", "∞": "无穷大", "≈": "约等于",
    "≠": "不等于",
    "≤": "小于等于", "≥": "大于等于", "±": "正负", "÷": "除以", "×": "乘", "№": "编号", "★": "", "→": "",
    "²": "平方", "³": "立方",
    "α": "阿尔法", "β": "贝塔", "γ": "伽马", "δ": "德尔塔", "θ": "西塔", "λ": "拉姆达", "μ": "缪", "π": "派",
    "σ": "西格玛", "ω": "欧米伽", "Δ": "德尔塔", "Σ": "西格玛", "Ω": "欧米伽", "½": "二分之一",
    "⅓": "三分之一",
    "¼": "四分之一", "¾": "四分之三", "⅔": "三分之二", "¥": "人民币", "$": "美元", "€": "欧元", "£": "英镑",
    "₩": "韩元",
}  # fmt: skip
# Signs that are silent: marks of lists, footnotes, emphasis.
SILENT = frozenset("*#_^`~=+\\/-§©®™†‡•●○◆◇■□▲△▼▽★☆※→←↑↓↔⇒░▒▓│─┌┐└┘├┤\ufeff\u200b\u200c\u200d\u2060\ufe0f\ufe0e\u00ad")
_MINUS_AND_DASHES = dict.fromkeys("−‐‑‒–﹣", "-")
_OWN_FOLDS = {**_MINUS_AND_DASHES, "￥": "¥", "〜": "~", "∼": "~", "’": "'", "∶": ":", "︰": ":", "⁄": "/", "∕": "/"}


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text, for tables that are easier to read without quotation marks."""
    return frozenset(words.split())


@cache
def _fold(char: str) -> str:
    own = _OWN_FOLDS.get(char)
    if own is not None:
        return own
    code = ord(char)
    if 0x2080 <= code <= 0x2089:
        return chr(code - 0x2050)
    if 0xFF01 <= code <= 0xFF5E and char not in "，；：！？（）":
        return chr(code - 0xFEE0)
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char.isalpha() and code < 0x250:
        base = unicodedata.normalize("NFKD", char)[0]
        return base if base.isascii() else char
    return char


def fold(text: str) -> str:
    """Return the text with wide, accented and look-alike characters as plain ones; the length stays the same."""
    return text if text.isascii() else "".join(map(_fold, text))


def is_han(char: str) -> bool:
    """Tell whether a character is Chinese script."""
    return (
        "\u4e00" <= char <= "\u9fff"
        or "\u3400" <= char <= "\u4dbf"
        or char == "〇"
        or "\U00020000" <= char <= "\U000323af"
    )
