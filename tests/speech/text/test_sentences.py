"""Where text is cut: sentences, paragraphs, and lines that would be too long."""

from __future__ import annotations

import pytest

from speech.errors import TextError
from speech.text import FrontEnd


def texts(front_end: FrontEnd, text: str) -> list[str]:
    return [sentence.text for sentence in front_end.plain(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。再见！", ["你好。", "再见！"]),
        ("真的吗？！太好了……我不信。", ["真的吗？！", "太好了……我不信。"]),
        ("“你好。我来了。”他说。然后走了。", ["“你好。我来了。”他说。", "然后走了。"]),
        ("他说：“走吧！”然后离开了。再见。", ["他说：“走吧！”", "然后离开了。", "再见。"]),
        ("“你去哪儿？”小明问。", ["“你去哪儿？”小明问。"]),
        ("“走。”“好。”", ["“走。”", "“好。”"]),
        ("「走吧。」他說。", ["「走吧。」他說。"]),
        ("（他不知道。）天黑了。", ["（他不知道。）", "天黑了。"]),
        ("没有“关上的引号。下一句。", ["没有“关上的引号。", "下一句。"]),
        ("圆周率是3.14。对。", ["圆周率是3.14。", "对。"]),
        ("版本1.2.3更新了。", ["版本1.2.3更新了。"]),
        ("看www.example.com吧。好。", ["看www.example.com吧。", "好。"]),
        ("Mr. Li said hello. He left.", ["Mr. Li said hello.", "He left."]),
        ("The U.S. is big. Yes.", ["The U.S. is big.", "Yes."]),
        ("我用Python.你呢？", ["我用Python.", "你呢？"]),
        ("1. 打开门。2. 关门。", ["1. 打开门。", "2. 关门。"]),
        ("第一章\n天亮了。天又黑了。\n\n第二章\n", ["第一章", "天亮了。", "天又黑了。", "第二章"]),
        ("\n \n", []),
        ("", []),
    ],
)
def test_sentences(front_end: FrontEnd, text: str, expected: list[str]):
    assert texts(front_end, text) == expected


def test_paragraph_ends_are_line_ends(front_end: FrontEnd):
    found = front_end.plain("天亮了。他起床。\n他走了。")
    assert [sentence.ends_paragraph for sentence in found] == [False, True, True]


def test_long_quotation_is_cut_inside(front_end: FrontEnd):
    quotation = "“" + "我今天去了商店买了很多东西。" * 12 + "”"
    assert len(texts(front_end, quotation)) > 3


def test_long_sentence_is_cut_at_punctuation_within_the_limit():
    front_end = FrontEnd(max_symbols=100)
    text = "春天来了，草地里开满了鲜花，小鸟在树上唱歌，孩子们在河边玩水，大家都很高兴，谁也不想回家。"
    found = front_end.plain(text)
    assert len(found) > 1
    assert "".join(sentence.text for sentence in found) == text
    for sentence in found:
        assert len(sentence.symbols.split(" ")) <= 100
        assert sentence.text[-1] in "，。"
    assert [sentence.ends_paragraph for sentence in found] == [False] * (len(found) - 1) + [True]


def test_long_sentence_without_punctuation_is_cut_between_words():
    front_end = FrontEnd(max_symbols=64)
    text = "我们公司的同事上个星期一起坐火车去北京参观了一个非常有名的博物馆然后又一起去了公园" * 3
    for sentence in front_end.plain(text):
        assert len(sentence.symbols.split(" ")) <= 64
        assert not sentence.text.startswith(("们", "物馆", "司"))


def test_limit_and_options_are_checked():
    with pytest.raises(TextError, match="max_symbols is 10"):
        FrontEnd(max_symbols=10)
    with pytest.raises(TextError, match="break_emotion"):
        FrontEnd(break_emotion="loud")  # type: ignore[arg-type]
    with pytest.raises(TextError, match="markup"):
        FrontEnd().sentences("你好", markup="html")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["……", "***", "😀🎉", "Привет", "—— ——", "①"[:0] + "☆☆☆"])
def test_nothing_to_speak_has_no_symbols_and_a_warning(front_end: FrontEnd, text: str):
    (sentence,) = front_end.plain(text)
    assert (sentence.symbols, sentence.words) == ("", ())
    assert sentence.text == text
    assert any("nothing" in warning for warning in sentence.warnings)


def test_unknown_script_is_left_out_with_one_warning(front_end: FrontEnd):
    (sentence,) = front_end.plain("这是Привет文字😀。")
    assert [word.text for word in sentence.words] == ["这", "是", "文字"] or "文字" in sentence.words[-1].text
    assert len(sentence.warnings) == 2
    assert "'Привет' at character 3" in sentence.warnings[0]


def test_words_carry_the_symbols_of_their_syllables(front_end: FrontEnd):
    (sentence,) = front_end.plain("他在2026年买了3.5kg苹果，GPT很好。")
    symbols = sentence.symbols.split(" ")
    spans = {word.text: symbols[word.first : word.last] for word in sentence.words}
    assert [one.split("$")[0] for one in spans["苹果"]] == ["{p_c", "{ing_c", "{g_c", "{uo_c"]
    year = [one.split("$")[0][1:] for one in spans["2026年"]]
    assert year == ["ge", "er_c", "l_c", "ing_c", "ge", "er_c", "l_c", "iou_c", "n_c", "ian_c"]
    assert spans["G"] == [
        "{jh$tone1$s_begin$word_begin$emotion_neutral$F7}",
        "{iy$tone1$s_end$word_end$emotion_neutral$F7}",
    ]
    assert [word.text for word in sentence.words][-2:] == ["很", "好"] or sentence.words[-1].text == "很好"


def test_number_spoken_as_several_words_is_one_word(front_end: FrontEnd):
    (sentence,) = front_end.plain("电话13800138000。")
    word = sentence.words[-1]
    assert word.text == "13800138000"
    inside = sentence.symbols.split(" ")[word.first : word.last]
    assert sum(symbol.startswith("{#") for symbol in inside) == 2
    assert len(inside) == 2 * 11 + 2


def test_breaks_follow_punctuation_and_long_stretches(front_end: FrontEnd):
    from speech.text.check import spoken_form

    line = front_end.plain("天黑了，星星、月亮出来了：很美！")[0].symbols
    assert spoken_form(line, breaks=True) == (
        "tian1 hei1 le5 #3 xing1 xing5 #2 yue4 liang5 chu1 lai5 le5 #3 hen2 mei3 #4"
    )
    long = front_end.plain("我昨天晚上和朋友一起坐出租车去火车站接我妹妹。")[0].symbols
    assert long.count("{#2$") >= 1


def test_break_symbols_carry_the_emotion_when_asked(front_end: FrontEnd):
    from speech.text import Style

    style = Style(emotion="happy", speaker="M7")
    plain = front_end.sentences("你好，世界。", style=style)[0].symbols
    assert plain.count("$emotion_none$M7}") == 2
    carried = FrontEnd(break_emotion="sentence").sentences("你好，世界。", style=style)[0].symbols
    assert "emotion_none" not in carried
    assert carried.replace("emotion_happy", "emotion_none") == plain.replace("emotion_happy", "emotion_none")
