"""Text to pinyin: a table of sentences read by hand, and the lines of the original script convertor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech.text import FrontEnd
from speech.text.annotation import annotated_line
from speech.text.check import check_line, spoken_form
from speech.text.symbols import Look

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fixtures" / "sambert-hifigan"
READINGS = [
    line.split("\t")
    for line in (HERE / "readings.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
GOLDEN = json.loads((FIXTURES / "frontend_lines.json").read_text(encoding="utf-8"))["lines"]


def heard(front_end: FrontEnd, text: str) -> str:
    return " ".join(spoken_form(sentence.symbols) for sentence in front_end.plain(text) if sentence.symbols)


def test_the_table_is_long_enough_and_has_no_doubles():
    assert len(READINGS) >= 800
    assert len({text for text, _ in READINGS}) == len(READINGS)


@pytest.mark.parametrize(("text", "expected"), READINGS, ids=[text for text, _ in READINGS])
def test_sentence_is_read(front_end: FrontEnd, text: str, expected: str):
    assert heard(front_end, text) == expected


@pytest.mark.parametrize("line", GOLDEN, ids=[line["id"] for line in GOLDEN])
def test_annotated_line_is_the_one_of_the_original(line: dict[str, str]):
    look = Look(line["emotion"].removeprefix("emotion_"), line["speaker"], breaks_carry_emotion=True)
    made = annotated_line(line["annotated_text"], line["pronunciation"], look)
    assert made == line["symbols"]
    check_line(made)


# What the front end makes of the original's sentences without help: the same syllables.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天天气怎么样，我们去公园玩儿", "jin1 tian1 tian1 qi4 zen3 me5 yang4 wo3 men5 qu4 gong1 yuan2 wanr2"),
        ("你好世界", "ni2 hao3 shi4 jie4"),
        ("北京大学二十四号楼", "bei3 jing1 da4 xue2 er4 shi2 si4 hao4 lou2"),
        ("我喜欢hello world", "wo2 xi3 huan5 HH-AH0 L-OW1 W-ER-L-D1"),
        ("这是A股", "zhe4 shi4 EY1 gu3"),
        ("花儿，一点儿，小孩儿，事儿", "huar1 yi4 dianr3 xiao3 hair2 shir4"),
        ("女儿，旅行，月亮，云彩，略微", "nv3 er2 lv3 xing2 yue4 liang5 yun2 cai5 lve4 wei1"),
        ("computer internet banana", "K-AH-M0 P-Y-UW1 T-ER0 IH-N1 T-ER0 N-EH-T0 B-AH0 N-AE1 N-AH0"),
    ],
)
def test_golden_sentences_without_annotation(front_end: FrontEnd, text: str, expected: str):
    assert heard(front_end, text) == expected


def test_first_line_known_from_a_real_voice(front_end: FrontEnd):
    """Agrees with the public example of the closed front end: word flags, #1, break symbols without emotion."""
    symbols = front_end.plain("北京今天天气怎么样")[0].symbols.split(" ")
    assert symbols[:5] == [
        "{b_c$tone3$s_begin$word_begin$emotion_neutral$F7}",
        "{ei_c$tone3$s_end$word_middle$emotion_neutral$F7}",
        "{j_c$tone1$s_begin$word_middle$emotion_neutral$F7}",
        "{ing_c$tone1$s_end$word_end$emotion_neutral$F7}",
        "{#1$tone_none$s_none$word_none$emotion_none$F7}",
    ]
    assert len(symbols) == 22
