"""Inline marks and the SSML subset."""

from __future__ import annotations

import pytest

from speech.errors import TextError
from speech.text import FrontEnd, Style
from speech.text.check import spoken_form


def read(front_end: FrontEnd, text: str, **options: object) -> list[tuple[str, str]]:
    found = front_end.sentences(text, **options)  # type: ignore[arg-type]
    return [(sentence.text, spoken_form(sentence.symbols) if sentence.symbols else "") for sentence in found]


@pytest.mark.parametrize(
    ("text", "shown", "heard"),
    [
        ("重庆[pinyin:chong2 qing4]很大", "重庆很大", "chong2 qing4 hen3 da4"),
        ("我姓仇[pinyin:qiu2]。", "我姓仇。", "wo3 xing4 qiu2"),
        ("[pinyin:zhong4 qing4]重庆很大", "重庆很大", "zhong4 qing4 hen3 da4"),
        ("我住在[pinyin:chong2 qing4]。", "我住在。", "wo3 zhu4 zai4 chong2 qing4"),
        ("[pinyin:ni3 hao3]", "", "ni3 hao3"),
        ("绿[pinyin:lü4]色和女[pinyin:nv3]人", "绿色和女人", "lv4 se4 he2 nv3 ren2"),
        ("见[1]和[注]", "见[1]和[注]", "jian4 yi1 he2 zhu4"),
    ],
)
def test_pinyin_marks(front_end: FrontEnd, text: str, shown: str, heard: str):
    assert read(front_end, text) == [(shown, heard)]


def test_marked_word_is_a_word_of_the_text(front_end: FrontEnd):
    (sentence,) = front_end.sentences("重庆[pinyin:chong2 qing4]很大")
    assert sentence.words[0].text == "重庆"
    assert (sentence.words[0].first, sentence.words[0].last) == (0, 4)


def test_pause_ends_the_line_and_is_kept(front_end: FrontEnd):
    found = front_end.sentences("[pause:200ms]你好[pause:1.5s]世界。[pause:800ms]")
    assert [(one.text, one.pause_ms) for one in found] == [("", 200), ("你好", 1500), ("世界。", 800)]
    assert found[1].symbols.endswith("{#4$tone_none$s_none$word_none$emotion_none$F7}")
    assert not found[1].ends_paragraph


def test_style_marks_hold_until_changed_or_closed(front_end: FrontEnd):
    text = "一。[voice:zhitian_emo][emotion:happy]二。三。[speed:1.2]四。[/emotion]五。[speaker:M7]六。[/voice]七。"
    found = front_end.sentences(text, style=Style(emotion="sad"))
    assert [(one.style.voice, one.style.emotion, one.style.speed, one.style.speaker) for one in found] == [
        (None, "sad", 1.0, "F7"),
        ("zhitian_emo", "happy", 1.0, "F7"),
        ("zhitian_emo", "happy", 1.0, "F7"),
        ("zhitian_emo", "happy", 1.2, "F7"),
        ("zhitian_emo", "sad", 1.2, "F7"),
        ("zhitian_emo", "sad", 1.2, "M7"),
        (None, "sad", 1.2, "M7"),
    ]
    assert "emotion_happy$F7}" in found[1].symbols
    assert found[5].symbols.count("$M7}") == len(found[5].symbols.split(" "))


def test_punctuation_after_a_mark_stays_with_its_sentence(front_end: FrontEnd):
    found = front_end.sentences("真好[emotion:happy]！太好了。")
    assert [(one.text, one.style.emotion) for one in found] == [("真好！", "neutral"), ("太好了。", "happy")] or [
        one.text for one in found
    ] == ["真好", "！太好了。"]
    found = front_end.sentences("[emotion:happy]真好[/emotion]。")
    assert [one.text for one in found] == ["真好。"]
    assert found[0].warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("你好[pinyin:chong]", None),
        ("你好[pinyin:xyz3]", "character 3.*'xyz3' is not a Mandarin syllable"),
        ("[pinyin:]", "character 1.*pinyin is missing"),
        ("你好[pause:abc]", "character 3.*800ms or 1.5s"),
        ("[pause:61s]", "at most 60 seconds"),
        ("[emotion:hungry]", "'hungry' is no emotion; known are none, neutral"),
        ("[speed:3]", "from 0.5 to 2.0"),
        ("[speed:nan]", "from 0.5 to 2.0"),
        ("[voice:]", "no name of a voice"),
        ("[voice:../../etc]", "no name of a voice"),
        ("[voice:a\u202eb]", "no name of a voice"),
        ("[voice:a\u200bb]", "no name of a voice"),
        ("[speaker:F7$M7]", "no name of a voice"),
        ("[pause:-5ms]", "800ms or 1.5s"),
        ("[pause:1e9s]", "800ms or 1.5s"),
        ("[pause:" + "9" * 400 + "s]", "at most 60 seconds"),
        ("[pause:800]", "800ms or 1.5s"),
        ("[speed:1_0]", "from 0.5 to 2.0"),
        ("[speed:-1]", "from 0.5 to 2.0"),
        ("[speed:inf]", "from 0.5 to 2.0"),
    ],
)
def test_bad_values_are_refused_with_their_place(front_end: FrontEnd, text: str, message: str | None):
    if message is None:
        assert front_end.sentences(text)
        return
    with pytest.raises(TextError, match=message):
        front_end.sentences(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[pause: 800 ms ]好", "好"),
        ("[voice:a][voice:a]好", "好"),
        ("[/speed]好[/speed]", "好"),
        ("[/pause]好", "[/pause]好"),
        ("[emotion:happy好", "[emotion:happy好"),
        ("[[emotion:happy]]好", "[]好"),
        ("[pinyin:chong2 qing4][pinyin:chong2 qing4]重庆", "重庆"),
        ("重[pinyin:chong2 qing4]庆", "重庆"),
        ("[pinyin:" + "hao3 " * 2000 + "]", ""),
        ("好[pause:60s]" * 50, "好" * 50),
        ("[speed:0.5][speed:2]" * 2000 + "好", "好"),
    ],
    ids=lambda text: text[:24],
)
def test_odd_marks_are_read_or_shown_as_they_stand(front_end: FrontEnd, text: str, shown: str):
    assert "".join(one.text for one in front_end.sentences(text)) == shown


@pytest.mark.parametrize("mark", ["voice", "emotion", "pinyin", "pause", "speed"])
def test_a_message_does_not_repeat_megabytes(front_end: FrontEnd, mark: str):
    with pytest.raises(TextError) as caught:
        front_end.sentences(f"[{mark}:{'x' * 1_000_000}]")
    assert len(caught.value.detail) < 1000


def test_without_markup_marks_are_text(front_end: FrontEnd):
    (sentence,) = front_end.plain("[emotion:happy]")
    assert sentence.text == "[emotion:happy]"
    assert sentence.style == Style()


@pytest.mark.parametrize(
    ("style", "message"),
    [
        (Style(emotion="hungry"), "the style's emotion.*no emotion"),
        (Style(speaker="F 7"), "the style's speaker"),
        (Style(speed=3.0), "the style's speed"),
    ],
)
def test_a_style_no_voice_has_is_refused(front_end: FrontEnd, style: Style, message: str):
    with pytest.raises(TextError, match=message):
        front_end.sentences("你好", style=style)


def test_half_a_character_is_replaced_so_that_subtitles_can_be_written(front_end: FrontEnd):
    (sentence,) = front_end.plain("你\ud800好")
    assert sentence.text.encode("utf-8").decode("utf-8") == "你\ufffd好"


def ssml(body: str) -> str:
    return f"<speak>{body}</speak>"


def test_ssml_elements(front_end: FrontEnd):
    body = (
        '你好<break time="800ms"/>世界。<voice name="a"><prosody rate="120%">快。</prosody>'
        '<emotion category="happy" intensity="1.0">乐。</emotion></voice>'
        '<phoneme alphabet="py" ph="chong2 qing4">重庆</phoneme>好。<p>一段。</p>'
        '<sub alias="世界卫生组织">WHO</sub>来了。'
    )
    found = front_end.sentences(ssml(body), markup="ssml")
    assert [(one.text, one.pause_ms, one.style.voice, one.style.speed, one.style.emotion) for one in found] == [
        ("你好", 800, None, 1.0, "neutral"),
        ("世界。", 0, None, 1.0, "neutral"),
        ("快。", 0, "a", 1.2, "neutral"),
        ("乐。", 0, "a", 1.0, "happy"),
        ("重庆好。", 0, None, 1.0, "neutral"),
        ("一段。", 0, None, 1.0, "neutral"),
        ("世界卫生组织来了。", 0, None, 1.0, "neutral"),
    ]
    assert [one.ends_paragraph for one in found][-3:] == [True, True, True]
    assert spoken_form(found[4].symbols) == "chong2 qing4 hao3"


@pytest.mark.parametrize(
    ("rate", "speed"), [("1.5", 1.5), ("150%", 1.5), ("+50%", 1.5), ("-25%", 0.75), ("fast", 1.25), ("x-slow", 0.5)]
)
def test_ssml_rates(front_end: FrontEnd, rate: str, speed: float):
    (sentence,) = front_end.sentences(ssml(f'<prosody rate="{rate}">你好</prosody>'), markup="ssml")
    assert sentence.style.speed == speed


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("你好", "not well-formed"),
        ("<speak>你好", "not well-formed.*line 1"),
        ("<p>你好</p>", "outermost element is <p>"),
        (ssml("<audio src='x'/>"), "<audio> is not known; known are speak"),
        (ssml('<prosody pitch="high">你</prosody>'), "<prosody> has no attribute 'pitch'"),
        (ssml('<prosody rate="9">你</prosody>'), "from 0.5 to 2.0"),
        (ssml('<break time="2m"/>'), "800ms or 1.5s"),
        (ssml("<break>你</break>"), "cannot have text"),
        (ssml('<emotion category="x">你</emotion>'), "no emotion"),
        (ssml("<emotion>你</emotion>"), "no emotion"),
        (ssml('<phoneme ph="zzz1">你</phoneme>'), "line 1.*not a Mandarin syllable"),
        (ssml('<phoneme alphabet="ipa" ph="ni">你</phoneme>'), "alphabet 'ipa'"),
        (ssml("<p>" * 16 + "</p>" * 16), "nested more than 16 deep"),
        ('<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>你</speak>', "document type"),
        ('<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>', "document type"),
        ("<speak>&unknown;</speak>", "not well-formed"),
        ("<speak><?php x?></speak>", "processing instructions"),
        ("<speak>" + "你" * 2_000_001 + "</speak>", "at most 2,000,000"),
        ('<!DOCTYPE speak [<!ENTITY a "bb"><!ENTITY c "&a;&a;">]><speak>&c;</speak>', "document type"),
        (ssml("&#0;"), "not well-formed"),
        (ssml("&#xD800;"), "not well-formed"),
        (ssml("好\x00"), "not well-formed"),
        (ssml("<p><s>好</p></s>"), "not well-formed: mismatched"),
        (ssml('<s xml:lang="a" xml:lang="b">好</s>'), "not well-formed: duplicate"),
        (ssml("好") + "尾", "not well-formed: junk"),
        (ssml("好") * 2, "not well-formed: junk"),
        ("<SPEAK>好</SPEAK>", "outermost element is <SPEAK>"),
        ('<a:speak xmlns:a="x">好</a:speak>', "outermost element is <a:speak>"),
        (ssml('<break time="-1s"/>'), "800ms or 1.5s"),
        (ssml('<break time="1e3ms"/>'), "800ms or 1.5s"),
        (ssml('<break time="1s" onload="x"/>'), "no attribute 'onload'"),
        (ssml('<break strength="huge"/>'), "not 'huge'"),
        (ssml('<prosody rate="NaN">好</prosody>'), "from 0.5 to 2.0"),
        (ssml('<prosody rate="">好</prosody>'), "from 0.5 to 2.0"),
        (ssml('<prosody rate="+150%">好</prosody>'), "from 0.5 to 2.0"),
        (ssml('<voice name="">好</voice>'), "no name of a voice"),
        (ssml('<voice name="../x">好</voice>'), "no name of a voice"),
        (ssml("<phoneme>好</phoneme>"), "pinyin is missing"),
        (ssml('<phoneme ph="hao3"><s>好</s></phoneme>'), "<s> cannot stand inside <phoneme>"),
        (ssml('<sub alias=" ">x</sub>'), "alias is missing"),
        (ssml(f"<{'a' * 100_000}/>"), r"<a{60}…> is not known"),
        (ssml(f"<s {'a' * 100_000}='1'/>"), r"no attribute 'a{60}…'"),
    ],
    ids=lambda text: text[:40],
)
def test_ssml_is_refused_with_a_reason(front_end: FrontEnd, document: str, message: str):
    with pytest.raises(TextError, match=message):
        front_end.sentences(document, markup="ssml")


@pytest.mark.parametrize("encoding", ["UTF-16", "gb2312", "GBK", "iso-8859-1", "no-such"])
def test_the_bytes_that_a_declaration_speaks_of_are_gone(front_end: FrontEnd, encoding: str):
    document = f'<?xml version="1.0" encoding="{encoding}"?>{ssml("你好。")}'
    assert read(front_end, document, markup="ssml") == [("你好。", "ni2 hao3")]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("", ""),
        (" \n ", ""),
        ("<![CDATA[<break/>好]]>", "<break/>好"),
        ("<!-- 坏 -->好", "好"),
        ('<sub alias="[emotion:happy]">x</sub>', "[emotion:happy]"),
        ("&#x1F600;好&lt;s&gt;", "😀好<s>"),
        ("<prosody>好</prosody><voice>的</voice>", "好的"),
        ("[pause:1s]好", "[pause:1s]好"),
    ],
)
def test_what_is_text_in_ssml_stays_text(front_end: FrontEnd, body: str, shown: str):
    assert "".join(text for text, _ in read(front_end, ssml(body), markup="ssml")) == shown


def test_styles_nest_and_end_with_their_elements(front_end: FrontEnd):
    sad = '<emotion category="sad">二。</emotion>'
    body = f'<prosody rate="slow">一。<prosody rate="fast">{sad}三。</prosody>四。</prosody>五。'
    found = front_end.sentences(ssml(body), markup="ssml")
    assert [(one.text, one.style.speed, one.style.emotion) for one in found] == [
        ("一。", 0.75, "neutral"), ("二。", 1.25, "sad"), ("三。", 1.25, "neutral"), ("四。", 0.75, "neutral"),
        ("五。", 1.0, "neutral"),
    ]  # fmt: skip
