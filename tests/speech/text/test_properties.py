"""Whatever text comes: no crash, valid lines, nothing lost of what is shown, and the same from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.errors import TextError
from speech.text import FrontEnd, Sentence
from speech.text.check import check_line

LIMIT = 80
FRONT_END = FrontEnd(
    {"重庆": "chong2 qing4", "T恤": "T xu4".replace("T", "ti4"), "GPU": "JH IY1 . P IY1"}, max_symbols=LIMIT
)
ANY = st.text(st.characters(exclude_categories=()), max_size=60)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *"的一是不了在人有我他这中大来上个国和儿得地着还长行重只好，。！？；：、…—“”‘’（）《》\n ",
            *"0123456789.,:/-~%℃°$¥€+×=*#@&'\"()[]abcdeXYZ",
            "2026-11-21", "3.5", "1/2", "13800138000", "100%", "3:30", "GPT-4", "hello", "kg", "km/h", "￥",
            "www.a.com", "......",
            "[pinyin:hao3]", "[pause:100ms]", "[emotion:happy]", "[/emotion]", "[voice:a]", "[speed:1.5]",
            "[pinyin:", "[pause:x]",
            "一会儿", "银行", "第", "万", "年", "月", "日", "百分之", "①", "Ⅳ", "½", "あ", "한", "é", "😀",
            "\ud800", "\u200b",
        ]
    ),
    max_size=25,
).map("".join)  # fmt: skip
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def visible(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text if not char.isspace())


def assert_sound(sentences: list[Sentence]) -> None:
    for sentence in sentences:
        assert sentence.text == sentence.text.strip()
        if not sentence.symbols:
            assert sentence.words == ()
            assert sentence.warnings or sentence.pause_ms
            continue
        check_line(sentence.symbols)
        symbols = sentence.symbols.split(" ")
        assert len(symbols) <= LIMIT
        at = end = 0
        for word in sentence.words:
            assert word.text
            at = sentence.text.index(word.text, at) + len(word.text)
            assert end <= word.first < word.last <= len(symbols)
            assert not symbols[word.first].startswith("{#")
            assert not symbols[word.last - 1].startswith("{#")
            end = word.last


@RELAXED
@given(st.one_of(ANY, FRAGMENTS))
def test_plain_text_is_always_spoken_or_warned_about(text: str):
    sentences = FRONT_END.plain(text)
    assert_sound(sentences)
    assert visible("".join(sentence.text for sentence in sentences)) == visible(text)


@RELAXED
@given(st.one_of(ANY, FRAGMENTS))
def test_inline_text_raises_nothing_but_text_errors(text: str):
    try:
        sentences = FRONT_END.sentences(text)
    except TextError as error:
        named_place = "character" in error.detail
    else:
        assert_sound(sentences)
        return
    assert named_place


TAGS = st.sampled_from(
    ["speak", "p", "s", "break", "voice", "prosody", "emotion", "phoneme", "sub", "audio", "speak xmlns='x'"]
)
ATTRIBUTES = st.sampled_from(
    [
        "", " time='300ms'", " time='x'", " strength='weak'", " name='a'", " name=''", " rate='fast'",
        " rate='120%'", " rate='-'",
        " category='happy'", " category='x'", " ph='hao3'", " ph='q'", " alphabet='py' ph='ni3 hao3'",
        " alias='你'", " xml:lang='zh'",
    ]
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.one_of(st.sampled_from(["你好。", "世界", "，", "\n", "&amp;", "&lt;", "<", "&", "]]>"]), ANY))
    tag, attribute = draw(TAGS), draw(ATTRIBUTES)
    inner = "".join(draw(st.lists(documents(depth=depth - 1), max_size=3)))
    return f"<{tag}{attribute}>{inner}</{tag.split(' ')[0]}>"


@RELAXED
@given(st.lists(documents(), max_size=4).map("".join))
def test_ssml_raises_nothing_but_text_errors(body: str):
    try:
        sentences = FRONT_END.sentences(f"<speak>{body}</speak>", markup="ssml")
    except TextError:
        return
    assert_sound(sentences)


@RELAXED
@given(ANY)
def test_any_text_as_ssml_raises_nothing_but_text_errors(text: str):
    try:
        sentences = FRONT_END.sentences(text, markup="ssml")
    except TextError:
        return
    assert_sound(sentences)


def test_many_threads_share_one_front_end():
    texts = [
        f"第{number}章，小明在20{number:02}年买了{number}.5kg苹果，GPT-{number}约{number + 1}/9的人一会儿就走了。"
        for number in range(64)
    ]
    alone = [FrontEnd().plain(text) for text in texts]
    shared = FrontEnd()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(shared.plain, texts)) == alone


@pytest.mark.parametrize(
    "text",
    [
        "一" * 20_000, "1" * 20_000, "a" * 20_000, "1." * 10_000, "1,111" * 5_000, "a.a." * 5_000,
        "“" * 10_000 + "）" * 10_000, "“你。”" * 5_000,
        "((((((((" * 3_000, "-" * 20_000, "1-" * 10_000, "1:" * 10_000, "x1" * 10_000, "@a." * 6_000,
        "[pinyin:" * 3_000, "。" * 20_000, "儿" * 20_000,
        "Aa" * 10_000, "'" * 10_000 + "a'" * 5_000, " " * 20_000 + "1" + " " * 20_000, "$" * 20_000,
        "1/" * 10_000, "第" * 10_000, "1 " * 10_000,
    ],
    ids=lambda text: text[:6],
)  # fmt: skip
@pytest.mark.timeout(30)
def test_hostile_text_is_read_in_linear_time(front_end: FrontEnd, text: str):
    sentences = front_end.sentences(text)
    assert visible("".join(sentence.text for sentence in sentences)) == visible(text)
