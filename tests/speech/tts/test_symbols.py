"""Symbol lines become the ids the original makes; bad lines name the symbol."""

import json
from pathlib import Path

import pytest

from speech.errors import TextError
from speech.tts.symbols import SymbolTable, emotion_names, symbol_tables

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "sambert-hifigan"
IDS = json.loads((FIXTURES / "text_ids.json").read_text())
GOOD = "{w_c$tone3$s_begin$word_begin$emotion_neutral$F7}"


def table_for(config, **changes):
    speakers = config["speaker_list"].split(",")
    return SymbolTable(config["language"], speakers, bytes_in=config["byte"], **changes)


@pytest.mark.parametrize("line", IDS["lines"], ids=lambda line: line["config"]["language"])
def test_a_line_has_the_originals_ids(line):
    ids = table_for(line["config"]).encode(line["symbols"])
    fields = ["byte_index"] if line["config"]["byte"] else ["sy", "tone", "syllable_flag", "word_segment"]
    for column, field in enumerate(fields):
        assert ids.linguistic[:, column].tolist() == line["ids"][field][:-1]
    assert ids.emotion.tolist() == line["ids"]["emo_category"][:-1]
    assert ids.speaker.tolist() == line["ids"]["speaker_category"][:-1]


@pytest.mark.parametrize("bad", IDS["bad_lines"], ids=lambda bad: bad["case"])
def test_a_bad_line_names_its_symbol(bad):
    table = SymbolTable("PinYin", ["F7"], bytes_in=False)
    with pytest.raises(TextError, match=r"symbol \d") as caught:
        table.encode(bad["symbols"])
    assert caught.value.code in {"bad_symbol", "unknown_symbol", "unknown_speaker", "unknown_emotion"}


def test_sizes_of_every_language_match_the_original():
    for language, lists in symbol_tables()["languages"].items():
        table = SymbolTable(language, ["F7"], bytes_in=False)
        sizes = [table.size(field) + 3 for field in ("sy", "tone", "syllable_flag", "word_segment")]
        assert sizes == [
            lists["sizes_with_specials"][field] for field in ("sy", "tone", "syllable_flag", "word_segment")
        ]


def test_an_index_before_a_tab_is_no_symbol():
    table = SymbolTable("PinYin", ["F7"], bytes_in=False)
    assert table.encode("3_0\t" + GOOD).linguistic.tolist() == table.encode(GOOD).linguistic.tolist()


def test_the_fixed_speaker_code_means_the_first_speaker_where_it_is_not_listed():
    table = SymbolTable("PinYin", ["xiaoyu", "M7"], bytes_in=False)
    assert table.encode(GOOD).speaker.tolist() == [0]
    assert table.encode(GOOD.replace("F7", "M7")).speaker.tolist() == [1]


def test_an_unknown_speaker_error_lists_the_known_ones():
    with pytest.raises(TextError, match="F7, M7"):
        SymbolTable("PinYin", ["F7", "M7"], bytes_in=False).encode(GOOD.replace("$F7", "$F99"))


def test_an_empty_line_is_refused():
    with pytest.raises(TextError, match="empty"):
        SymbolTable("PinYin", ["F7"], bytes_in=False).encode("  \n")


def test_emotions_are_short_names_without_placeholders():
    assert emotion_names()[:2] == ["neutral", "angry"]
    assert not any("placeholder" in name or name == "none" for name in emotion_names())
