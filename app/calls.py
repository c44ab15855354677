"""What the Python client says to the server: each call as data, the same for the sync and the async client."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
from pydantic import BaseModel

from app.names import printable
from app.schemas import FieldProblem, JobObject

Model = TypeVar("Model", bound=BaseModel)
File = Path | str | tuple[str, bytes | Path]
"""A file on disk, or a name (folders too, for many recordings) and its bytes or where they are."""


class ApiError(Exception):
    """The server refused a request; `code`, `detail` and `errors` are those of its problem."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[FieldProblem] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.retry_after = retry_after


class Unreachable(Exception):
    """No server answers at the address."""


class JobFailed(Exception):
    """A job that was waited for has not succeeded."""

    def __init__(self, job: JobObject) -> None:
        super().__init__(f"job {job.id} {job.status}: {job.error.detail if job.error else 'it was canceled'}")
        self.job = job


@dataclass(frozen=True)
class Call:
    """One request. `files` are opened anew for each try."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    fields: Mapping[str, Any] | None = None
    files: Sequence[tuple[str, File]] = ()
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether trying again after 429, 503 or a broken connection is safe."""

    @contextlib.contextmanager
    def arguments(self) -> Iterator[dict[str, Any]]:
        """Give the keyword arguments of httpx's `request`."""
        found: dict[str, Any] = {"params": dict(self.params), "headers": dict(self.headers)}
        with contextlib.ExitStack() as stack:
            if self.files:
                found["files"] = [(name, _opened(stack, file)) for name, file in self.files]
                found["data"] = form_fields(self.fields or {})
            elif self.json is not None:
                found["json"] = self.json
            elif self.content is not None:
                found["content"] = self.content
            yield found


def _opened(stack: contextlib.ExitStack, file: File) -> tuple[str, IO[bytes] | bytes]:
    name, content = file if isinstance(file, tuple) else (Path(file).name, Path(file))
    return printable(name), content if isinstance(content, bytes) else stack.enter_context(content.open("rb"))


def form_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as form fields: lists with commas, objects as JSON, booleans as true and false."""
    found = {}
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, Mapping):
            found[name] = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, (list, tuple)) and not any(isinstance(one, Mapping) for one in value):
            found[name] = ",".join(map(str, value))
        elif isinstance(value, (list, tuple)):
            found[name] = json.dumps(value, ensure_ascii=False)
        else:
            found[name] = str(value)
    return found


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _key(idempotency_key: str | None) -> dict[str, str]:
    """Return the header that makes a submit safe to repeat."""
    return {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}


def tts(text: str, idempotency_key: str | None, options: Mapping[str, Any]) -> Call:
    """Speak a text."""
    return Call("POST", "/v1/tts", json={"text": text, **_given(options)}, headers=_key(idempotency_key))


def stt(file: File | None, url: str | None, idempotency_key: str | None, options: Mapping[str, Any]) -> Call:
    """Transcribe a recording."""
    if file is not None:
        return Call("POST", "/v1/stt", fields=options, files=[("file", file)], headers=_key(idempotency_key))
    return Call("POST", "/v1/stt", json={"url": url, **_given(options)}, headers=_key(idempotency_key))


def audiobook(
    file: File | None,
    chapters: Sequence[Mapping[str, str]] | None,
    cover: File | None,
    idempotency_key: str | None,
    options: Mapping[str, Any],
) -> Call:
    """Speak a book."""
    path, headers = "/v1/audiobooks", _key(idempotency_key)
    files = [(name, given) for name, given in (("file", file), ("cover", cover)) if given is not None]
    if files:
        return Call("POST", path, fields={**options, "chapters": chapters}, files=files, headers=headers)
    return Call("POST", path, json={"chapters": chapters, **_given(options)}, headers=headers)


def transcripts(
    files: Iterable[File], manifest: File | None, idempotency_key: str | None, options: Mapping[str, Any]
) -> Call:
    """Transcribe many recordings."""
    given = [*(("files", file) for file in files), *([("manifest", manifest)] if manifest is not None else [])]
    return Call("POST", "/v1/transcripts", fields=options, files=given, headers=_key(idempotency_key))


def batch(lines: Iterable[Mapping[str, Any]] | File, idempotency_key: str | None, options: Mapping[str, Any]) -> Call:
    """Run many small tasks."""
    file = (
        lines
        if isinstance(lines, (Path, str, tuple))
        else ("batch.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode())
    )
    return Call("POST", "/v1/batches", fields=options, files=[("file", file)], headers=_key(idempotency_key))


def job(job_id: str, wait: float = 0) -> Call:
    """Look at a job."""
    return Call("GET", f"/v1/jobs/{job_id}", params={"wait": wait} if wait else {})


def page(filters: Mapping[str, Any]) -> Call:
    """List jobs."""
    return Call("GET", "/v1/jobs", params=_given(filters))


def action(job_id: str, name: str) -> Call:
    """Cancel or retry a job."""
    return Call("POST", f"/v1/jobs/{job_id}/{name}", repeatable=False)


def delete(job_id: str) -> Call:
    """Erase a job."""
    return Call("DELETE", f"/v1/jobs/{job_id}", repeatable=False)


def problem_of(answer: httpx.Response) -> ApiError:
    """Return the error of an answer whose body has been read."""
    wait = answer.headers.get("Retry-After", "")
    retry_after = float(wait) if wait.isdigit() else None
    try:
        body = answer.json()
        return ApiError(
            answer.status_code,
            str(body["code"]),
            str(body["detail"]),
            [FieldProblem.model_validate(one) for one in body.get("errors", [])],
            retry_after,
        )
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}"
        return ApiError(answer.status_code, "unexpected_answer", detail, retry_after=retry_after)


def parsed(model: type[Model], answer: httpx.Response) -> Model:
    """Return the object of an answer."""
    return model.model_validate_json(answer.content)


class EventReader:
    """Collects the lines of an event stream into jobs."""

    def __init__(self) -> None:
        self.last_id = ""
        self._data = ""

    def feed(self, line: str) -> JobObject | None:
        """Take a line; returns the job whose event it ends."""
        name, _, value = line.partition(": ")
        if name == "id":
            self.last_id = value
        elif name == "data":
            self._data += value
        elif not line and self._data:
            data, self._data = self._data, ""
            return JobObject.model_validate_json(data)
        return None
