"""What we write, other parsers read; what we wrap keeps its words and times."""

import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from speech.subtitles import Cue, CueWord, to_json, to_lrc, to_srt, to_tsv, to_txt, to_vtt, width, wrap

WORDS = st.text(alphabet="你好世界，。！？（）“”《》abcXYZ 0189-'&<>:#…—éあ", min_size=1, max_size=60)
NASTY = st.text(min_size=0, max_size=60)


@st.composite
def tracks(draw, texts=WORDS):
    """Cues in order, times to the millisecond, as a recogniser or a voice gives them."""
    steps = draw(st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(1, 60_000), texts), max_size=6))
    cues, now = [], 0
    for gap, length, text in steps:
        start, now = now + gap, now + gap + length
        cues.append(Cue(start / 1000, now / 1000, text))
    return cues


def squeezed(text):
    return "".join(c for c in text if c.isprintable() and not c.isspace())


def spoken(cues):
    return [cue for cue in cues if squeezed(cue.text)]


@given(tracks(NASTY | WORDS))
def test_an_srt_parser_reads_back_every_cue(cues):
    read = list(srt.parse(to_srt(cues)))
    assert [each.index for each in read] == list(range(1, len(read) + 1))
    assert [squeezed(each.content) for each in read] == [squeezed(cue.text) for cue in spoken(cues)]
    assert [(each.start.total_seconds(), each.end.total_seconds()) for each in read] == [
        (pytest.approx(cue.start), pytest.approx(cue.end)) for cue in spoken(cues)
    ]


@given(tracks())
def test_a_webvtt_parser_reads_back_every_cue(cues):
    text = to_vtt(cues)
    assert text.startswith("WEBVTT\n\n")
    read = list(webvtt.from_buffer(io.StringIO(text)))
    unescaped = [each.text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for each in read]
    assert [squeezed(each) for each in unescaped] == [squeezed(cue.text) for cue in spoken(cues)]
    assert [(each.start, each.end) for each in read] == [(clock(cue.start), clock(cue.end)) for cue in spoken(cues)]


def clock(seconds):
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def test_markup_in_a_text_is_shown_and_not_obeyed():
    text = to_vtt([Cue(0, 1, "a --> b <i>&c")])
    assert "a --&gt; b &lt;i&gt;&amp;c" in text


def test_an_empty_line_in_a_text_does_not_end_the_cue():
    cue = Cue(0, 2, "一\n\n二\n00:00:05,000 --> 00:00:06,000")
    assert len(list(srt.parse(to_srt([cue])))) == 1
    assert [each.content for each in srt.parse(to_srt([Cue(0, 2, "一\n\n\n二")]))] == ["一\n二"]


def test_a_cue_without_length_or_before_zero_is_still_valid():
    assert "00:00:00,000 --> 00:00:00,001" in to_srt([Cue(-0.3, -0.1, "嗯")])
    assert "00:00:01.000 --> 00:00:01.001" in to_vtt([Cue(1.0, 1.0, "嗯")])


def test_rounding_carries_into_minutes_and_hours():
    assert "00:59:59,999 --> 01:00:00,000" in to_srt([Cue(3599.9991, 3599.9996, "嗯")])
    assert to_lrc([Cue(59.996, 70, "嗯")]) == "[01:00.00]嗯\n"


def test_lrc_has_tags_one_line_a_cue_and_clears_the_screen_in_a_long_silence():
    cues = [Cue(1.5, 3.0, "第一\n行"), Cue(3.5, 4.0, "第二"), Cue(100, 101, "later\nlines")]
    assert to_lrc(cues, title="歌", artist="王") == (
        "[ti:歌]\n[ar:王]\n[00:01.50]第一行\n[00:03.50]第二\n[00:04.00]\n[01:40.00]later lines\n"
    )


@given(tracks(NASTY | WORDS))
def test_tsv_has_three_columns_whatever_the_text_holds(cues):
    rows = [line.split("\t") for line in to_tsv(cues).split("\n")[:-1]]
    assert rows[0] == ["start", "end", "text"]
    assert all(len(row) == 3 for row in rows)
    assert [(int(a), int(b)) for a, b, _ in rows[1:]] == [
        (round(cue.start * 1000), round(cue.end * 1000)) for cue in spoken(cues)
    ]


def test_txt_is_the_text_alone():
    assert to_txt([Cue(0, 1, "你好。"), Cue(1, 2, ""), Cue(2, 3, "再\n见。")]) == "你好。\n再见。\n"


@given(tracks(NASTY))
def test_json_holds_everything(cues):
    cues = [replace(cue, words=(CueWord(cue.start, cue.end, cue.text),)) for cue in cues]
    read = json.loads(to_json(cues, language="zh"))
    assert read["language"] == "zh"
    assert [(c["start"], c["end"], c["text"], c["words"][0]["text"]) for c in read["cues"]] == [
        (round(cue.start, 3), round(cue.end, 3), cue.text, cue.text) for cue in cues
    ]


@given(tracks(), st.integers(2, 50), st.integers(1, 3))
def test_wrapping_keeps_every_character_and_the_order_of_times(cues, max_width, max_lines):
    wrapped = wrap(cues, max_width, max_lines)
    assert squeezed("".join(c.text for c in wrapped)) == squeezed("".join(c.text for c in cues))
    assert all(len(c.text.split("\n")) <= max_lines for c in wrapped)
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(wrapped))
    assert all(c.start <= c.end for c in wrapped)


@given(tracks(), st.integers(8, 50))
def test_no_line_is_wider_than_asked(cues, max_width):
    assert all(width(line) <= max_width for cue in wrap(cues, max_width) for line in cue.text.split("\n"))


def test_chinese_counts_two_columns_and_breaks_after_punctuation():
    (cue,) = wrap([Cue(0, 4, "小明把面包分给了兔子，兔子吃了面包。")], 26, 2)
    assert cue.text == "小明把面包分给了兔子，\n兔子吃了面包。"


@pytest.mark.parametrize(
    ("text", "max_width", "lines"),
    [
        ("他说：“好。”然后走了", 8, ["他说：", "“好。”", "然后走了"]),  # quotes stay with what they hold
        ("the quick brown fox", 10, ["the quick", "brown fox"]),
        ("incomprehensible", 10, ["incomprehe", "nsible"]),  # only a word longer than a line is cut
        ("用GPT-4写作", 8, ["用GPT-4", "写作"]),
    ],
)
def test_lines_break_where_a_reader_would(text, max_width, lines):
    assert wrap([Cue(0, 1, text)], max_width, 9)[0].text.split("\n") == lines


def test_a_cut_cue_takes_the_times_of_its_words():
    words = tuple(CueWord(i, i + 0.5, t) for i, t in enumerate(["今天", "天气", "很", "好"]))
    first, second = wrap([Cue(0, 4, "今天天气很好", words)], 8, 1)
    assert (first.text, first.start, first.end) == ("今天天气", 0, 2)
    assert (second.text, second.start, second.end) == ("很好", 2, 4)
    assert [w.text for w in second.words] == ["很", "好"]


def test_a_cut_cue_without_words_shares_its_time_by_width():
    parts = wrap([Cue(10, 14, "一二三四五六七八")], 8, 1)
    assert [(p.start, p.end) for p in parts] == [(10, 12), (12, 14)]


def test_words_can_carry_their_times_in_webvtt():
    words = (CueWord(0, 0.5, "今天"), CueWord(0.5, 1.0, "很好"))
    text = to_vtt([Cue(0, 1, "今天，很好", words)], words=True)
    assert "今天，<00:00:00.500>很好" in text
    assert re.sub("<[^>]*>", "", webvtt.from_buffer(io.StringIO(text))[0].text) == "今天，很好"


def test_impossible_limits_are_refused():
    with pytest.raises(ValueError, match="max_width"):
        wrap([Cue(0, 1, "嗯")], 1)
