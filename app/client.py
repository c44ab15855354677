"""A small typed client: submit, wait, watch, fetch. `Client` blocks, `AsyncClient` awaits; they have the same methods.

from app.client import Client

with Client("http://127.0.0.1:8000") as client:
    job = client.wait(client.tts("你好。", format="mp3").id)
    client.fetch(job, "out")
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self

import httpx

from app import calls
from app.async_client import AsyncClient
from app.calls import ApiError, Call, EventReader, File, JobFailed, Unreachable
from app.connection import LONGEST_WAIT, TRIES, Connection, Tries, succeeded
from app.schemas import (
    FileObject,
    JobList,
    JobObject,
    ModelList,
    ModelObject,
    Readiness,
    VoiceList,
    VoiceObject,
    WebhookCall,
    WebhookCalls,
    WebhookSecret,
    WorkerList,
    WorkerObject,
)

__all__ = ["ApiError", "AsyncClient", "Client", "File", "JobFailed", "JobObject", "Unreachable"]

NAMED = 50
"""Characters of a file's name in that of its part: with four bytes each they leave room for the rest of 255."""
A_DAY = 86400.0
"""Seconds without a change after which nobody saves a part any more."""


def _target(folder: Path | str, name: str) -> Path:
    """Return where a file of a result goes: below `folder`, whatever it is called."""
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", "..", "."}]
    target = Path(folder).joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _partial(target: Path) -> Path:
    """Return where a file is until it is whole, another one for each process; removes what killed ones have left."""
    begun = f".{target.name[:NAMED]}."
    for left in target.parent.iterdir():
        if left.name.startswith(begun) and left.suffix == ".part":
            with contextlib.suppress(OSError):  # another process removes it, too
                if time.time() - left.stat().st_mtime > A_DAY:
                    left.unlink()
    return target.with_name(f"{begun}{uuid.uuid4().hex}.part")


class Client(Connection):
    """A client that blocks. The address is `url`, or VOXQUEUE_URL; the key is `key`, or VOXQUEUE_API_KEY.

    All calls raise `ApiError` and `Unreachable`. Submits carry an idempotency key, so repeating them is safe, and they
    are repeated when the queue is full or the server restarts.
    """

    def __init__(self, url: str | None = None, key: str | None = None, **options: Any) -> None:
        super().__init__(url, key)
        self._http = httpx.Client(**{**self.options, **options})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, call: Call, *, stream: bool = False) -> httpx.Response:
        """Make a call, again if that helps; with `stream`, the answer is still to be read, and closed."""
        tries = Tries(self, call)
        while True:
            try:
                with call.arguments() as arguments:
                    request = self._http.build_request(call.method, call.path, **arguments)
                    answer = self._http.send(request, stream=stream)
                self.heard(answer)
                if not answer.is_error:
                    return answer
                answer.read()
            except httpx.TransportError as error:
                if (pause := tries.pause(error)) is None:
                    raise self.unreachable(error) from error
            else:
                if (pause := tries.pause(answer)) is None:
                    raise calls.problem_of(answer)
            time.sleep(pause)

    def _job(self, call: Call) -> JobObject:
        return calls.parsed(JobObject, self.send(call))

    def tts(self, text: str, *, idempotency_key: str | None = None, **options: Any) -> JobObject:
        """Submit a text; `options` are the fields of `POST /v1/tts`."""
        return self._job(calls.tts(text, idempotency_key, options))

    def stt(
        self, file: File | None = None, *, url: str | None = None, idempotency_key: str | None = None, **options: Any
    ) -> JobObject:
        """Submit a recording, or the address of one; `options` are the fields of `POST /v1/stt`."""
        return self._job(calls.stt(file, url, idempotency_key, options))

    def audiobook(
        self,
        file: File | None = None,
        *,
        chapters: Sequence[Mapping[str, str]] | None = None,
        cover: File | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobObject:
        """Submit a book, as a file or as chapters; `options` are the fields of `POST /v1/audiobooks`."""
        return self._job(calls.audiobook(file, chapters, cover, idempotency_key, options))

    def transcripts(
        self,
        files: Iterable[File] = (),
        *,
        manifest: File | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobObject:
        """Submit many recordings, a manifest of them, or both; `options` are the fields of `POST /v1/transcripts`."""
        return self._job(calls.transcripts(files, manifest, idempotency_key, options))

    def batch(
        self, lines: Iterable[Mapping[str, Any]] | File, *, idempotency_key: str | None = None, **options: Any
    ) -> JobObject:
        """Submit many small tasks, as objects or as a file of JSON lines."""
        return self._job(calls.batch(lines, idempotency_key, options))

    def job(self, job_id: str, *, wait: float = 0) -> JobObject:
        """Look at a job; with `wait`, as soon as it has ended."""
        return self._job(calls.job(job_id, wait))

    def wait(self, job_id: str, *, seconds: float = float("inf")) -> JobObject:
        """Return a job that has succeeded. Raises `JobFailed`, and `TimeoutError` after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            job = self.job(job_id, wait=round(max(0.0, min(left, LONGEST_WAIT)), 3))
            if job.status.is_terminal:
                return succeeded(job)
            if left <= 0:
                raise TimeoutError(f"job {job_id} is {job.status} after {seconds} s")

    def jobs(self, **filters: Any) -> Iterator[JobObject]:
        """Yield jobs, newest first; `filters` are status, kind, parent, limit (of a page)."""
        after = None
        while True:
            page = calls.parsed(JobList, self.send(calls.page({**filters, "after": after})))
            yield from page.data
            if not page.has_more:
                return
            after = page.next

    def watch(self, job_id: str) -> Iterator[JobObject]:
        """Yield a job at each change until it has ended, over broken connections."""
        reader, quiet = EventReader(), 0
        while quiet < TRIES:
            headers = {"Last-Event-ID": reader.last_id} if reader.last_id else {}
            call = Call("GET", f"/v1/jobs/{job_id}/events", headers=headers)
            try:
                with contextlib.closing(self.send(call, stream=True)) as answer:
                    for line in answer.iter_lines():
                        quiet = 0
                        if (job := reader.feed(line)) is not None:
                            yield job
                            if job.status.is_terminal:
                                return
                    if answer.status_code == httpx.codes.NO_CONTENT:
                        return
            except httpx.TransportError as error:
                if quiet + 1 >= TRIES:
                    raise self.unreachable(error) from error
            quiet += 1
            time.sleep(0.25 * quiet)

    def cancel(self, job_id: str) -> JobObject:
        """Cancel a job."""
        return self._job(calls.action(job_id, "cancel"))

    def retry(self, job_id: str) -> JobObject:
        """Queue a failed or canceled job again."""
        return self._job(calls.action(job_id, "retry"))

    def delete(self, job_id: str) -> None:
        """Erase a job and its files."""
        self.send(calls.delete(job_id))

    def fetch(self, job: JobObject, folder: Path | str) -> list[Path]:
        """Save all files of a finished job below a folder; returns their paths."""
        return [self.download(file, folder) for file in (job.output.files if job.output else [])]

    def download(self, file: FileObject, folder: Path | str, *, name: str | None = None) -> Path:
        """Save a file of a result below a folder, whole or not at all, under its own name or the one given here."""
        target = _target(folder, name or file.name)
        partial = _partial(target)
        try:
            self._write(Call("GET", file.url), partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def _write(self, call: Call, path: Path) -> None:
        """Write an answer to a file, from its beginning once more where the connection breaks."""
        tries = Tries(self, call)
        while True:
            try:
                with contextlib.closing(self.send(call, stream=True)) as answer, path.open("wb") as out:
                    for chunk in answer.iter_bytes():
                        out.write(chunk)
            except httpx.TransportError as error:
                if (pause := tries.pause(error)) is None:
                    raise self.unreachable(error) from error
            else:
                return
            time.sleep(pause)

    def voices(self) -> list[VoiceObject]:
        """Return the voices."""
        return calls.parsed(VoiceList, self.send(Call("GET", "/v1/voices"))).data

    def webhook_secret(self) -> str:
        """Return the secret that webhooks are signed with; needs the role admin."""
        return calls.parsed(WebhookSecret, self.send(Call("GET", "/v1/webhook-secret"))).secret

    def webhook_calls(self, job_id: str) -> list[WebhookCall]:
        """Return the calls of a job's webhook, oldest first."""
        return calls.parsed(WebhookCalls, self.send(Call("GET", f"/v1/jobs/{job_id}/webhook"))).calls

    def call_webhook_again(self, job_id: str) -> None:
        """Have a job's webhook called once more."""
        self.send(Call("POST", f"/v1/jobs/{job_id}/webhook"))

    def workers(self) -> list[WorkerObject]:
        """Return the live workers."""
        return calls.parsed(WorkerList, self.send(Call("GET", "/v1/workers"))).data

    def models(self) -> list[ModelObject]:
        """Return the models and voices under the names that OpenAI's clients use."""
        return calls.parsed(ModelList, self.send(Call("GET", "/v1/models"))).data

    def ready(self) -> Readiness:
        """Return whether jobs get done."""
        try:
            return calls.parsed(Readiness, self._http.get("/readyz"))
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
