"""The manifest of a transcripts job: a line for each recording, where it is and how to listen to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, model_validator

from jobs.fields import shapes_of
from jobs.lines import read_lines
from jobs.names import clean_path
from jobs.record import Problem
from jobs.specs import Line, Source, TranscriptOptions
from jobs.validation import explain

MANIFEST = ".manifest"
"""Name of the input that it is; no upload has one like it."""


class ManifestLine(TranscriptOptions, Source):
    """A line of a manifest: one of `file`, `url` and `store`; and options that this recording does not share."""

    file: Line | None = Field(default=None, min_length=1)
    """Name of an uploaded recording, with its folders as it was sent, or as it is in a .zip."""
    name: Line | None = Field(default=None, min_length=1)
    """What it is called in the result, folders too; default: where it comes from."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.file, self.url, self.store)) != 1:
            raise ValueError("a line has one of file, url and store")
        return self

    @property
    def path(self) -> str:
        """What the recording is called in the result."""
        source = unquote(PurePosixPath(urlsplit(str(self.url)).path).name) if self.url else self.file or self.store
        return clean_path(self.name or source or "", "recording")

    @property
    def own(self) -> dict[str, Any]:
        """The fields of a spec that are this recording's own: its place, unless it is a file, and its options."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"file", "name"})


SHAPES = shapes_of(ManifestLine)


@dataclass(frozen=True)
class Wanted:
    """A line of a manifest as it was understood. `number` counts all lines of the file from 1."""

    number: int
    line: ManifestLine | None
    problem: Problem | None = None


def wanted(file: IO[bytes], media_type: str) -> Iterator[Wanted]:
    """Yield the lines of a manifest that are not blank."""
    for line in read_lines(file, media_type, SHAPES):
        detail = line.problem
        if not detail:
            try:
                yield Wanted(line.number, ManifestLine.model_validate(line.value))
                continue
            except ValidationError as error:
                found = explain(error, ManifestLine)[:3]
                detail = "; ".join(f"{wrong.field}: {wrong.detail}" for wrong in found)
        detail = f"manifest, line {line.number}: {detail}"
        yield Wanted(line.number, None, Problem("bad_line", "The line cannot be used", detail))
