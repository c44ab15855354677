"""The user's dictionary, English words and the closed engine's adapter."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from speech.errors import ModelError, TextError
from speech.text import FrontEnd, Style
from speech.text.check import check_line, spoken_form
from speech.text.closed import ClosedFrontEnd, is_available
from speech.text.english import say


def heard(front_end: FrontEnd, text: str) -> str:
    return " ".join(spoken_form(sentence.symbols) for sentence in front_end.plain(text))


def test_mapping_gives_readings_of_words_anywhere():
    front_end = FrontEnd(
        {
            "仇英": "qiu2 ying1",
            "Voxqueue": "V AA1 K S . K Y UW0",
            "T恤": "ti1 xu4",
            "WHO": "=世卫组织",
            "花儿": "huar1",
            "乐": "yue4",
        }
    )
    assert heard(front_end, "仇英的画") == "qiu2 ying1 de5 hua4"
    assert heard(front_end, "voxqueue很快") == "V-AA-K-S1 K-Y-UW0 hen3 kuai4"
    assert heard(front_end, "买T恤") == "mai3 ti1 xu4"
    assert heard(front_end, "WHO说WHOLE") == "shi4 wei4 zu3 zhi1 shuo1 HH-OW-L1"
    assert heard(front_end, "花儿") == "huar1"
    assert heard(front_end, "他姓乐") == "ta1 xing4 yue4"


def test_longest_entry_wins_and_sandhi_still_applies():
    front_end = FrontEnd({"长": "chang2", "长老": "zhang3 lao3"})
    assert heard(front_end, "长老好") == "zhang2 lao2 hao3"


def test_a_word_with_blanks_is_found_whole_and_in_any_case():
    front_end = FrontEnd({"Open Sesame": "OW1 . P AH0 N . S EH1 . S AH0 . M IY0"})
    assert heard(front_end, "open sesame") == "OW1 P-AH-N0 S-EH1 S-AH0 M-IY0"


@pytest.mark.parametrize(
    ("word", "reading", "message"),
    [
        ("重庆", "chong2", "line 2: 2 characters need 2 syllables, not 1"),
        ("好", "", "line 2: .*both needed"),
        ("", "hao3", "line 2: .*both needed"),
        ("坏", "huai9", "line 2: .*'huai9'"),
        ("X", "QX1 Q", "line 2: .*(no|not)"),
        ("X", "=abc", "line 2: .*only Chinese characters"),
        ("x" * 65, "hao3", "line 2: .*at most 64"),
    ],
)
def test_a_bad_word_is_refused_with_its_place(word: str, reading: str, message: str):
    with pytest.raises(TextError, match=message):
        FrontEnd([("好", "hao3", "line 1"), (word, reading, "line 2")])
    with pytest.raises(TextError, match=f"dictionary entry '{word}'"):
        FrontEnd({word: reading})


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("hello", [["HH AH0", "L OW1"]]),
        ("computer", [["K AH0 M", "P Y UW1", "T ER0"]]),
        ("HELLO", [["HH AH0", "L OW1"]]),
        ("NASA", [["N AE1", "S AH0"]]),
        ("USB", [["Y UW1"], ["EH1 S"], ["B IY1"]]),
        ("OpenAI", [["OW1", "P AH0 N"], ["EY1"], ["AY1"]]),
        ("iPhone", [["AY1", "F OW2 N"]]),
        ("A", [["EY1"]]),
        ("W", [["D AH1", "B AH0 L", "Y UW0"]]),
        ("student's", [["S T UW1", "D AH0 N T S"]]),
        ("chatbot", [["CH AE1 T", "B AA2 T"]]),
        ("around", [["AH0", "R AW1 N D"]]),
        ("xqz", [["EH1 K S"], ["K Y UW1"], ["Z IY1"]]),
    ],
)
def test_english_words(word: str, syllables: list[list[str]]):
    assert [list(spoken) for _, _, spoken in say(word)] == syllables


def test_unknown_english_word_is_guessed_with_one_primary_stress():
    ((_, _, syllables),) = say("blorptastic")
    assert len(syllables) == 3
    assert " ".join(syllables).count("1") == 1


def test_import_is_light_and_use_is_quiet():
    code = (
        "import sys; import speech.text; heavy = {'torch', 'jieba', 'pypinyin', 'misaki', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; s = speech.text.FrontEnd().plain('今天天气很好，hello。'); assert s[0].symbols; "
        "assert not {'torch', 'misaki'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(is_available(), reason="the closed package is installed here")
def test_missing_closed_engine_says_so(tmp_path: Path):
    with pytest.raises(ModelError, match="ttsfrd was asked for and cannot be imported"):
        ClosedFrontEnd(tmp_path)


@pytest.mark.skipif(is_available(), reason="the closed package is installed here")
def test_adapter_dresses_the_engines_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The real engine cannot be had here; a line as it is known to write stands for it."""
    line = (
        "{b_c$tone3$s_begin$word_begin$emotion_neutral$F7} {ei_c$tone3$s_end$word_middle$emotion_neutral$F7} "
        "{j_c$tone1$s_begin$word_middle$emotion_neutral$F7} {ing_c$tone1$s_end$word_end$emotion_neutral$F7} "
        "{#4$tone_none$s_none$word_none$emotion_none$F7}"
    )
    asked: list[str] = []

    class Engine:
        def initialize(self, folder: str) -> bool:
            asked.append(folder)
            return True

        def set_lang_type(self, language: str) -> bool:
            asked.append(language)
            return True

        def gen_tacotron_symbols(self, text: str) -> str:
            asked.append(text)
            return f"0\t{line}\n" if "北" in text else ""

    module = types.ModuleType("ttsfrd")
    module.TtsFrontendEngine = Engine  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace(name="ttsfrd")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "ttsfrd", module)
    found = ClosedFrontEnd(tmp_path).sentences("北京。[pause:100ms]……", style=Style(emotion="happy", speaker="M7"))
    assert asked == [str(tmp_path), "zh-cn", "北京。", "……"]
    assert [(one.text, one.pause_ms) for one in found] == [("北京。", 100), ("……", 0)]
    check_line(found[0].symbols)
    assert found[0].symbols.count("emotion_happy$M7") == 4
    assert [(word.text, word.first, word.last) for word in found[0].words] == [("北京", 0, 4)]
    assert found[1].symbols == ""
    assert found[1].warnings


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{x$tone1}", "symbol 1.*a symbol is"),
        (
            "{b_c$tone1$s_begin$word_begin$emotion_neutral$F7}  {a_c$tone1$s_end$word_end$emotion_neutral$F7}",
            "symbol 2",
        ),
        (
            "{bb$tone1$s_both$word_both$emotion_neutral$F7} {#4$tone_none$s_none$word_none$emotion_none$F7}",
            "no such phone",
        ),
        ("{ey$tone1$s_both$word_both$emotion_neutral$F7}", "ends with #4"),
        (
            "{b_c$tone1$s_begin$word_begin$emotion_neutral$F7} {#4$tone_none$s_none$word_none$emotion_none$F7}",
            "not ended",
        ),
        ("{ey$tone1$s_end$word_both$emotion_neutral$F7} {#4$tone_none$s_none$word_none$emotion_none$F7}", "flags run"),
        ("{#4$tone1$s_none$word_none$emotion_none$F7}", "only breaks"),
        ("{#4$tone_none$s_none$word_none$emotion_none$F7}", "a break follows a word"),
    ],
)
def test_line_checker_finds_what_is_wrong(line: str, message: str):
    with pytest.raises(TextError, match=message):
        check_line(line)
