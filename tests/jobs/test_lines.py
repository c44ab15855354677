"""Files of lines: JSON lines and CSV as people and spreadsheets write them; no line is lost without a word."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import lines
from jobs.lines import CSV, JSONL, Line, read_lines

SHAPES = {"list": "list", "object": "object"}


def read(data, media_type=JSONL):
    return list(read_lines(io.BytesIO(data), media_type, SHAPES))


def test_json_lines_have_the_numbers_that_editors_show():
    found = read(b'\xef\xbb\xbf{"a": 1}\r\n\n[1]\n{"a": NaN}\n\xff\n{"a": 2}')
    assert [(line.number, line.value) for line in found if not line.problem] == [(1, {"a": 1}), (6, {"a": 2})]
    assert [(line.number, line.problem.split(":")[0]) for line in found if line.problem] == [
        (3, "must be an object"),
        (4, "is no JSON"),
        (5, "is no JSON"),
    ]


def test_a_line_that_is_too_long_is_one_bad_line(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 20)
    found = read(b'{"a": 1}\n{"a": "' + b"x" * 100 + b'"}\n{"a": 3}\n')
    assert [(line.number, bool(line.problem)) for line in found] == [(1, False), (2, True), (3, False)]


def test_cells_are_values():
    data = 'a,list,object\n1,"x, y","{""k"": 2}"\n,,\n2,["z"],{\n'
    one, two = read(data.encode(), CSV)
    assert one == Line(2, {"a": "1", "list": ["x", "y"], "object": {"k": 2}})
    assert (two.number, two.problem.split(";")[0]) == (4, "object: must be JSON")


def test_a_csv_may_have_other_delimiters_encodings_and_lines_within_cells():
    for delimiter in ";\t,":
        data = f'a{delimiter}b\r\n你好{delimiter}"x\ny"\r\nz{delimiter}\r\n'
        for encoding in ("utf-8", "utf-8-sig", "gb18030"):
            assert read(data.encode(encoding), CSV) == [Line(2, {"a": "你好", "b": "x\ny"}), Line(4, {"a": "z"})]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["a,x", 'b,"y', "c,z", "d,z"], [(3, "not closed; what follows up to line 5 was not read")]),
        (["a,x", 'b,"he said "yes".', 'c,"y', 'd,"z"'], [(3, "twice"), (4, "up to line 5 ")]),
        (["a,x", 'b,"' + "y" * 50, "c,z" * 50, 'd,z"'], [(3, "field limit (100); what follows up to line 4 ")]),
    ],
)
def test_no_line_is_lost_to_a_wrong_quote_without_a_word(rows, told):
    limit = csv.field_size_limit(100)
    found = read("\n".join(["k,v", *rows]).encode(), CSV)
    csv.field_size_limit(limit)
    wrong = [line for line in found if line.problem]
    assert found[0] == Line(2, {"k": "a", "v": "x"})
    assert [line.number for line in wrong] == [number for number, _ in told]
    assert all(words in line.problem for line, (_, words) in zip(wrong, told, strict=True))


def test_quotes_within_a_cell_that_is_not_quoted_are_letters():
    assert read('k,v\na,他说"你好"\n'.encode(), CSV) == [Line(2, {"k": "a", "v": '他说"你好"'})]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_damaged_character_is_one_bad_line(encoding):
    """And is not taken for a reason to read all in another encoding."""
    rows = ["你好，世界", "今天", "天气很好", "ascii"]
    data = "\n".join(["v", *rows]).encode(encoding).replace("今天".encode(encoding), b"\xff" + "今天".encode(encoding))
    found = read(data, CSV)
    assert [line.value.get("v") for line in found] == ["你好，世界", None, "天气很好", "ascii"]
    assert (found[1].number, "save the file as UTF-8" in found[1].problem) == (3, True)


def test_a_single_character_of_gb_18030_is_read_at_the_very_end():
    assert read("v\n你".encode("gb18030"), CSV) == [Line(2, {"v": "你"})]
    assert read(b"v\n\xe3\x81", CSV) == [Line(2, {"v": b"\xe3\x81".decode("gb18030")})]


@pytest.mark.parametrize("data", ["k,v\na,1\n".encode("utf-16"), b'k,"v\na,1\nb,2\n'])
def test_without_a_header_nothing_is_read(data):
    [line] = read(data, CSV)
    assert (line.number, "without the header" in line.problem) == (1, True)


def test_a_value_in_two_columns_is_refused():
    found = read(b"v,w,v\na,,\na,,b\n,,b\n", CSV)
    assert [(line.value, line.problem) for line in found] == [
        ({"v": "a"}, ""),
        ({}, "v: is given in two columns; keep one"),
        ({"v": "b"}, ""),
    ]


def test_a_row_with_too_many_cells_is_bad_and_the_next_is_not():
    found = read(b"a,b\n1,2,3\n4,5\n", CSV)
    assert [(line.number, bool(line.problem)) for line in found] == [(2, True), (3, False)]


@given(st.binary(max_size=300), st.sampled_from([CSV, JSONL]))
def test_no_bytes_break_it(data, media_type):
    for line in read(data, media_type):
        assert line.number >= 1
        assert bool(line.problem) != bool(line.value) or line.value == {}
        str(line.value).encode()  # no half of a character


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=2, max_size=2), max_size=9))
def test_what_a_csv_writer_writes_is_read(rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["a", "b"], *rows])
    meant = [{name: cell for name, cell in zip("ab", row, strict=True) if cell.strip()} for row in rows]
    assert [(line.value, line.problem) for line in read(file.getvalue().encode(), CSV)] == [
        (value, "") for value in meant if value
    ]
