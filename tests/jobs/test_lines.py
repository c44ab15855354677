"""Files of lines: JSON lines and CSV as people and spreadsheets write them; a bad line never hides a good one."""

import io

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


def test_a_row_with_too_many_cells_is_bad_and_the_next_is_not():
    found = read(b"a,b\n1,2,3\n4,5\n", CSV)
    assert [(line.number, bool(line.problem)) for line in found] == [(2, True), (3, False)]


@given(st.binary(max_size=300), st.sampled_from([CSV, JSONL]))
def test_no_bytes_break_it(data, media_type):
    for line in read(data, media_type):
        assert line.number >= 1
        assert bool(line.problem) != bool(line.value) or line.value == {}
