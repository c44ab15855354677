"""Multipart bodies (RFC 7578) as a stream of parts: a file of gigabytes passes in pieces, past no temporary file.

Written out here because werkzeug's streaming decoder takes a carriage return for data when a piece ends inside a
boundary: a file would come out a byte longer, once in some thousand uploads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from werkzeug.http import parse_options_header

from app.problems import Refusal

PREAMBLE_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
"""Of one part's headers together."""
LONGEST_BOUNDARY = 200
"""RFC 2046 has 70; some clients use more."""


@dataclass
class Part:
    """A part of the body. Read `chunks` to their end before the next part is asked for."""

    name: str
    filename: str | None
    """None: a plain field."""
    media_type: str
    chunks: Iterator[bytes] = field(repr=False)


def parts(body: Iterable[bytes], boundary: str | None, *, max_parts: int) -> Iterator[Part]:
    """Yield the parts of a body. Raises `Refusal` 400 for a malformed one and 413 for too many parts."""
    if not boundary or len(boundary) > LONGEST_BOUNDARY or not boundary.isascii():
        raise _malformed("its Content-Type names no boundary")
    pieces = _Pieces(body)
    delimiter = b"\r\n--" + boundary.encode()
    pieces.until(delimiter, PREAMBLE_BYTES, "has no boundary")
    number = 0
    while not pieces.at(b"--"):
        if pieces.until(b"\r\n", HEADER_BYTES, "has a boundary without a line's end").strip(b" \t"):
            raise _malformed("something follows a boundary")
        number += 1
        if number > max_parts:
            raise Refusal(413, "too_many_parts", f"the multipart body has more than {max_parts} parts")
        headers = _headers(pieces)
        kind, options = parse_options_header(headers.get("content-disposition"))
        if kind != "form-data" or "name" not in options:
            raise _malformed("a part has no `Content-Disposition: form-data` with a name")
        # An empty part may have only one line's end: that of the blank line is the delimiter's, too.
        data = iter(()) if pieces.at(delimiter[2:]) else pieces.before(delimiter)
        yield Part(options["name"], options.get("filename"), headers.get("content-type", ""), data)
        deque(data, maxlen=0)  # what the caller left is read, and kept nowhere


def _headers(pieces: _Pieces) -> dict[str, str]:
    raw = pieces.until(b"\r\n\r\n", HEADER_BYTES, "has a part whose headers do not end")
    found = {}
    for line in raw.split(b"\r\n"):
        try:
            name, _, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError as error:
            raise _malformed("a header is not UTF-8") from error
        found[name.strip().lower()] = value.strip()
    return found


class _Pieces:
    """The body, searched for delimiters that may lie across the pieces it comes in."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = iter(body)
        self._buffer = bytearray(b"\r\n")  # so that the first boundary is like the others

    def _more(self, why: str) -> None:
        piece = next(self._body, None)
        if piece is None:
            raise _malformed(f"it {why}: it ends too early")
        self._buffer += piece

    def at(self, mark: bytes) -> bool:
        """Take `mark` if it comes next."""
        while len(self._buffer) < len(mark):
            self._more("has no last boundary")
        found = self._buffer.startswith(mark)
        if found:
            del self._buffer[: len(mark)]
        return found

    def until(self, delimiter: bytes, limit: int, why: str) -> bytes:
        """Return what comes before a delimiter, at most `limit` bytes, and take both."""
        while (index := self._buffer.find(delimiter)) < 0:
            if len(self._buffer) > limit:
                raise _malformed(f"it {why} within {limit} bytes")
            self._more(why)
        found = bytes(self._buffer[:index])
        del self._buffer[: index + len(delimiter)]
        return found

    def before(self, delimiter: bytes) -> Iterator[bytes]:
        """Yield what comes before a delimiter, then take the delimiter."""
        kept = len(delimiter) - 1  # the beginning of a delimiter may be there already
        while (index := self._buffer.find(delimiter)) < 0:
            if len(self._buffer) > kept:
                yield bytes(self._buffer[:-kept])
                del self._buffer[:-kept]
            self._more("has a part without an end")
        if index:
            yield bytes(self._buffer[:index])
        del self._buffer[: index + len(delimiter)]


def _malformed(why: str) -> Refusal:
    return Refusal(400, "invalid_multipart", f"the multipart body is malformed: {why}")
