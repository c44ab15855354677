"""The file of words and readings that an operator or a book brings."""

import pytest

from jobs.words import read_words


@pytest.fixture
def read(tmp_path):
    """Read a file with this content; gives words and readings."""
    path = tmp_path / "words.txt"

    def find(content):
        path.write_text(content, "utf-8")
        return {word: reading for word, reading, _ in read_words(path)}

    return find


def test_a_word_is_parted_from_its_reading_by_blanks_or_a_tab(read):
    assert read("仇英 qiu2 ying1\n  重庆\tchong2 qing4 \n行长   hang2  zhang3\n长乐\u3000chang2 le4\n") == {
        "仇英": "qiu2 ying1",
        "重庆": "chong2 qing4",
        "行长": "hang2  zhang3",
        "长乐": "chang2 le4",
    }
    assert read("Open Sesame\tOW1 . P AH0 N") == {"Open Sesame": "OW1 . P AH0 N"}


def test_comments_blank_lines_and_a_mark_of_order_are_no_words(read):
    assert read("\ufeff# names\n\n仇英 qiu2 ying1  # a painter\n  #\nC# S IY1 . SH AA1 R P\n") == {
        "仇英": "qiu2 ying1",
        "C#": "S IY1 . SH AA1 R P",
    }


def test_each_word_knows_its_line_and_one_without_a_reading_is_left_to_who_speaks_it(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# names\n仇英 qiu2 ying1\n好\n", "utf-8")
    assert read_words(path) == [
        ("仇英", "qiu2 ying1", "line 2 of words.txt ('仇英')"),
        ("好", "", "line 3 of words.txt ('好')"),
    ]


def test_another_encoding_is_not_guessed(tmp_path):
    (tmp_path / "words.txt").write_text("重庆 chong2 qing4", "gb18030")
    with pytest.raises(UnicodeDecodeError):
        read_words(tmp_path / "words.txt")
