"""The parsers that read what strangers send, each as a function of bytes: anything but a refusal is a finding."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

Target = Callable[[bytes], None]
MEMBER = b"\0=="
"""Between the members of an archive in a seed: a name, a line's end, the content."""
LONGEST_SECONDS = 30.0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace") if _decodes(data) else repr(data)


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _file(data: bytes, ending: str) -> contextlib.AbstractContextManager[Path]:
    @contextlib.contextmanager
    def written() -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"given{ending}"
            path.write_bytes(data)
            yield path

    return written()


def multipart() -> Target:
    from app.multipart import parts
    from app.problems import Refusal

    def read(pieces: list[bytes]) -> list[tuple[str, str | None, str, bytes]] | str:
        try:
            return [
                (one.name, one.filename, one.media_type, b"".join(one.chunks))
                for one in parts(pieces, "x", max_parts=20)
            ]
        except Refusal as refusal:
            return refusal.code

    def target(data: bytes) -> None:
        size = data[0] % 40 + 1 if data else 1
        whole = read([data])
        cut = read([data[at : at + size] for at in range(0, len(data), size)])
        assert cut == whole, "how a body is cut into pieces must not matter"

    return target


def names() -> Target:
    from app.names import content_disposition
    from jobs.names import clean_name

    def target(data: bytes) -> None:
        name = clean_name(_text(data))
        assert not set(name) & set("/\\\r\n\0")
        assert name not in {"", ".", ".."}
        header = content_disposition(_text(data))
        assert re.fullmatch(r"attachment; filename=\"[^\"\\]+\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+)?", header)

    return target


def urls() -> Target:
    from jobs.urls import BlockedUrl, check_url

    def target(data: bytes) -> None:
        with contextlib.suppress(BlockedUrl):
            check_url(_text(data))

    return target


def first_bytes() -> Target:
    from app.sniff import HEAD_BYTES, media_type_of, what_is
    from app.uploads import book, one_of_many, picture

    def target(data: bytes) -> None:
        head, name = data[:HEAD_BYTES], _text(data[-20:])
        for found in (media_type_of(head, name), book(head, name), one_of_many(head, name), picture(head, name)):
            assert found is None or re.fullmatch(r"[a-z]+/[\w.+-]+", found)
        assert what_is(head)

    return target


def batch_lines() -> Target:
    from jobs.batch_lines import tasks

    def target(data: bytes) -> None:
        for media_type in ("application/jsonl", "text/csv"):
            list(tasks(io.BytesIO(data), media_type, 1000))

    return target


def manifest_lines() -> Target:
    from jobs.manifests import wanted

    def target(data: bytes) -> None:
        for media_type in ("application/jsonl", "text/csv"):
            list(wanted(io.BytesIO(data), media_type))

    return target


def ssml() -> Target:
    from speech.errors import TextError
    from speech.text import Style
    from speech.text.frontend import stretches_of

    def target(data: bytes) -> None:
        with contextlib.suppress(TextError):
            stretches_of(_text(data), "ssml", Style())

    return target


def inline_marks() -> Target:
    from speech.errors import TextError
    from speech.text import Style
    from speech.text.frontend import stretches_of

    def target(data: bytes) -> None:
        with contextlib.suppress(TextError):
            stretches_of(_text(data), "inline", Style())

    return target


def front_end() -> Target:
    from speech.errors import TextError
    from speech.text import FrontEnd
    from speech.text.check import check_line

    found = FrontEnd(max_symbols=80)

    def target(data: bytes) -> None:
        with contextlib.suppress(TextError):
            for sentence in found.sentences(_text(data)):
                if sentence.symbols:
                    check_line(sentence.symbols)

    return target


def epub() -> Target:
    from speech.books.errors import BookError
    from speech.books.reading import read_book

    def target(data: bytes) -> None:
        packed = io.BytesIO()
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(packed, "w") as archive:
            for member in data.split(MEMBER):
                name, _, content = member.partition(b"\n")
                archive.writestr(zipfile.ZipInfo(_text(name)[:200].replace("\0", "") or "x"), content)
        _read(packed.getvalue())

    def _read(data: bytes) -> None:
        with _file(data, ".epub") as path, contextlib.suppress(BookError):
            read_book(path)

    return target


def zipped() -> Target:
    from speech.books.errors import BookError
    from speech.books.reading import read_book

    def target(data: bytes) -> None:
        with _file(data, ".epub") as path, contextlib.suppress(BookError):
            read_book(path)

    return target


def recordings_zip() -> Target:
    from workers.archives import UNREADABLE, chunks, members

    def target(data: bytes) -> None:
        with contextlib.suppress(*UNREADABLE), zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in members(archive, "given.zip", 100_000):
                assert ".." not in member.path.split("/")
                if member.problem is None:
                    assert sum(map(len, chunks(archive, member))) <= 100_000

    return target


def text_books() -> Target:
    from speech.books.errors import BookError
    from speech.books.markdown import read_markdown
    from speech.books.plaintext import read_plain

    def target(data: bytes) -> None:
        for read in (read_plain, read_markdown):
            with contextlib.suppress(BookError):
                read(data)

    return target


def media() -> Target:
    from speech.audio import decode
    from speech.errors import AudioError

    def target(data: bytes) -> None:
        with _file(data, ".bin") as path, contextlib.suppress(AudioError):
            total = 0
            for block in decode(path, max_seconds=LONGEST_SECONDS):
                total += block.shape[-1]
            assert total <= (LONGEST_SECONDS + 1) * 16000

    return target


def subtitles() -> Target:
    import srt
    import webvtt

    from speech import subtitles as written

    def target(data: bytes) -> None:
        cues, at = [], 0.0
        for line in _text(data).split("\x1e")[:50]:
            begin, at = at, at + 0.001 + len(line) % 7
            words = tuple(written.CueWord(begin, at, word) for word in line.split(" ") if word)
            cues.append(written.Cue(begin, at, line, words))
        cues = [*cues, *written.wrap(cues, max_width=4 + len(data) % 40)] if data else cues
        shown = len(written.to_tsv(cues).splitlines()) - 1
        assert len(list(srt.parse(written.to_srt(cues)))) == shown, "SRT is read back as it was meant"
        for one in (written.to_vtt(cues), written.to_vtt(cues, words=True)):
            assert len(webvtt.from_buffer(io.StringIO(one)).captions) == shown, "and WebVTT"
        for write in (written.to_lrc, written.to_txt, written.to_json):
            write(cues)

    return target


TARGETS: dict[str, Callable[[], Target]] = {
    "multipart": multipart,
    "names": names,
    "urls": urls,
    "first-bytes": first_bytes,
    "batch-lines": batch_lines,
    "manifest-lines": manifest_lines,
    "ssml": ssml,
    "inline-marks": inline_marks,
    "front-end": front_end,
    "epub": epub,
    "zip": zipped,
    "recordings-zip": recordings_zip,
    "text-books": text_books,
    "media": media,
    "subtitles": subtitles,
}
SLOW = {"front-end": 20, "epub": 4, "zip": 4, "media": 20, "text-books": 4, "subtitles": 4}
"""Targets that get so many times fewer cases."""
