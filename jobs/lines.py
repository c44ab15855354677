"""Files of many small things, one a line: JSON lines, or CSV with a header. A bad line is told with its number."""

from __future__ import annotations

import codecs
import csv
import io
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
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="")
    first = text.readline(LONGEST_LINE)
    text.seek(0)
    reader = csv.reader(text, delimiter=max(DELIMITERS, key=first.count))
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Line(number, {}, f"is no CSV: {error}")
            continue
        if cells is None:
            text.detach()  # or it would close the caller's file
            return
        if header is None:
            header = [cell.strip() for cell in cells]
        elif any(cell.strip() for cell in cells):
            yield _csv_line(number, header, cells, shapes)


def _csv_line(number: int, header: list[str], cells: list[str], shapes: Mapping[str, Shape]) -> Line:
    if any(cell.strip() for cell in cells[len(header) :]):
        return Line(number, {}, f"has {len(cells)} cells, the header has {len(header)}; quote cells with delimiters")
    value = {}
    for name, cell in zip(header, cells, strict=False):
        if cell.strip():
            try:
                value[name] = value_of([cell], shapes.get(name, "one"))
            except ValueError as error:
                return Line(number, {}, f"{name}: {error}")
    return Line(number, value)


def _encoding(file: IO[bytes]) -> str:
    """Return UTF-8 if all of it is, else GB 18030, which spreadsheets write in China."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(READ):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "gb18030"
    finally:
        file.seek(0)
    return "utf-8-sig"
