"""The streaming parser: the same parts, however the body is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.multipart import parts
from app.problems import Refusal

PARTS = st.lists(
    st.tuples(
        st.text(alphabet="abcdefgh_", min_size=1, max_size=10),
        st.one_of(st.none(), st.text(alphabet="abc.wav 你好", min_size=1, max_size=20)),
        st.binary(max_size=300).filter(lambda data: b"--edge" not in data),
    ),
    max_size=5,
)


def encoded(given_parts):
    body = b""
    for name, filename, data in given_parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return body + b"--edge--\r\n"


def decoded(body, size, **options):
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    found = parts(pieces, "edge", **{"max_parts": 100, **options})
    return [(part.name, part.filename, b"".join(part.chunks)) for part in found]


@given(PARTS, st.integers(1, 400))
def test_parts_come_out_as_they_went_in(given_parts, size):
    assert decoded(encoded(given_parts), size) == given_parts


def test_every_way_to_cut_the_body_gives_the_same_bytes():
    """A decoder that looks at the end of a piece goes wrong at one size in a thousand."""
    given_parts = [("a", None, b""), ("f", "x.wav", b"\r\n--edg\r\n\r-\r"), ("g", "y", b"--"), ("h", None, b"\r")]
    body = encoded(given_parts)
    for size in range(1, len(body) + 1):
        assert decoded(body, size) == given_parts, size


@given(st.binary(max_size=500), st.integers(1, 100))
def test_no_bytes_break_it(body, size):
    try:
        decoded(body, size)
    except Refusal as refusal:
        assert refusal.status in {400, 413}  # noqa: PT017 - any of many bodies may be refused


def test_too_many_parts_are_413():
    body = encoded([("a", None, b"x")] * 11)
    with pytest.raises(Refusal) as caught:
        decoded(body, 50, max_parts=10)
    assert caught.value.status == 413


def test_an_endless_header_is_refused_without_being_kept():
    body = b"--edge\r\nX: " + b"a" * (3 * 1024**2)
    with pytest.raises(Refusal):
        decoded(body, 64 * 1024)
