"""Files of many small things, one a line: JSON lines, or CSV with a header. A bad line is told with its number."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from pydantic_core import from_json

from jobs.fields import Shape, value_of

JSONL = "application/jsonl"
CSV = "text/csv"
CSV_ENDINGS = (".csv", ".tsv")
LONGEST_LINE = 1 << 20
"""Bytes of a line of JSON, and characters of a cell of CSV."""
DELIMITERS = ",;\t"
"""Spreadsheets write semicolons where the decimal point is a comma."""
NAMES = {"utf-8-sig": "UTF-8", "gb18030": "GB 18030"}
BROKEN = re.compile(r"[\udc80-\udcff]")
"""Bytes that are not of the file's encoding, as `surrogateescape` has them."""
QUOTES = {
    "unexpected end of data": "has a quote that is not closed",
    "expected after": 'has text behind a closing quote; write a quote within a quoted cell twice: ""',
}
"""csv's complaints in our words."""
READ = 1 << 16

csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class Line:
    """An object of a file, or what is wrong with the line. `number` counts all lines from 1, blank ones too."""

    number: int
    value: dict[str, Any]
    problem: str = ""


def read_lines(file: IO[bytes], media_type: str, shapes: Mapping[str, Shape]) -> Iterator[Line]:
    """Yield the lines that are not blank; `shapes` say how the cells of a CSV are to be read. Memory: one line."""
    return _csv_lines(file, shapes) if media_type == CSV else _json_lines(file)


def _json_lines(file: IO[bytes]) -> Iterator[Line]:
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LONGEST_LINE)
            yield Line(number, {}, f"has more than {LONGEST_LINE} bytes; split it")
            continue
        raw = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        if raw.strip():
            yield _json_line(number, raw)


def _json_line(number: int, raw: bytes) -> Line:
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        return Line(number, {}, f"is no JSON: {error}")
    if not isinstance(value, dict):
        return Line(number, {}, "must be an object")
    return Line(number, value)


def _csv_lines(file: IO[bytes], shapes: Mapping[str, Shape]) -> Iterator[Line]:
    encoding = _encoding(file)
    text = io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="")
    yield from _below_header(_rows(text, NAMES[encoding]), shapes)
    text.detach()  # or it would close the caller's file


def _below_header(rows: Iterator[tuple[int, list[str], str]], shapes: Mapping[str, Shape]) -> Iterator[Line]:
    number, header, problem = next(rows, (1, [], ""))
    if problem:
        yield Line(number, {}, f"{problem}; without the header no line can be read")
        return
    names = [cell.strip() for cell in header]
    for number, cells, problem in rows:
        if problem:
            yield Line(number, {}, problem)
        elif any(cell.strip() for cell in cells):
            yield _csv_line(number, names, cells, shapes)


def _rows(text: IO[str], encoding: str) -> Iterator[tuple[int, list[str], str]]:
    """Yield the number of each row's first line and its cells, or what is wrong with it."""
    first = text.readline(LONGEST_LINE)
    text.seek(0)
    reader = csv.reader(text, delimiter=max(DELIMITERS, key=first.count), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, [], _no_csv(str(error), number, reader.line_num)
            continue
        broken = any(BROKEN.search(cell) for cell in cells)
        yield number, cells, f"holds bytes that are no {encoding}; save the file as UTF-8" if broken else ""


def _no_csv(error: str, first: int, last: int) -> str:
    """Return what is wrong with the quotes of a row, and which lines they took for a part of it."""
    problem = next((words for sign, words in QUOTES.items() if sign in error), f"is no CSV: {error}")
    return f"{problem}; what follows up to line {last} was not read" if last > first else problem


def _csv_line(number: int, header: list[str], cells: list[str], shapes: Mapping[str, Shape]) -> Line:
    if any(cell.strip() for cell in cells[len(header) :]):
        return Line(number, {}, f"has {len(cells)} cells, the header has {len(header)}; quote cells with delimiters")
    value = {}
    for name, cell in zip(header, cells, strict=False):
        if cell.strip():
            if name in value:
                return Line(number, {}, f"{name}: is given in two columns; keep one")
            try:
                value[name] = value_of([cell], shapes.get(name, "one"))
            except ValueError as error:
                return Line(number, {}, f"{name}: {error}")
    return Line(number, value)


def _encoding(file: IO[bytes]) -> str:
    """Return UTF-8; or GB 18030, which spreadsheets write in China, where more is broken as UTF-8 than is not."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = broken = 0
    more = True
    while more:
        more = bool(chunk := file.read(READ))
        text = decoder.decode(chunk, final=not more)
        read = text.encode("utf-8", "ignore").decode()
        broken += len(text) - len(read)
        good += len(read) - len(read.encode("ascii", "ignore"))
    file.seek(0)
    return "gb18030" if broken > good else "utf-8-sig"
