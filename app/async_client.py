"""The client that awaits: the methods of `app.client.Client`, with `async` and `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Self

import httpx

from app import calls
from app.calls import Call, File
from app.connection import LONGEST_WAIT, Connection, Tries, succeeded
from app.schemas import (
    FileObject,
    JobList,
    JobObject,
    VoiceList,
    VoiceObject,
    WebhookCall,
    WebhookCalls,
    WebhookSecret,
    WorkerList,
    WorkerObject,
)


class AsyncClient(Connection):
    """The same with `async` and `await`."""

    def __init__(self, url: str | None = None, key: str | None = None, **options: Any) -> None:
        super().__init__(url, key)
        self._http = httpx.AsyncClient(**{**self.options, **options})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(self, call: Call) -> httpx.Response:
        """Make a call, again if that helps."""
        tries = Tries(self, call)
        while True:
            try:
                with call.arguments() as arguments:
                    answer = await self._http.request(call.method, call.path, **arguments)
            except httpx.TransportError as error:
                if (pause := tries.pause(error)) is None:
                    raise self.unreachable(error) from error
            else:
                self.heard(answer)
                if not answer.is_error:
                    return answer
                if (pause := tries.pause(answer)) is None:
                    raise calls.problem_of(answer)
            await asyncio.sleep(pause)

    async def _job(self, call: Call) -> JobObject:
        return calls.parsed(JobObject, await self.send(call))

    async def tts(self, text: str, *, idempotency_key: str | None = None, **options: Any) -> JobObject:
        """See `Client.tts`."""
        return await self._job(calls.tts(text, idempotency_key, options))

    async def stt(
        self, file: File | None = None, *, url: str | None = None, idempotency_key: str | None = None, **options: Any
    ) -> JobObject:
        """See `Client.stt`."""
        return await self._job(calls.stt(file, url, idempotency_key, options))

    async def audiobook(
        self,
        file: File | None = None,
        *,
        chapters: Sequence[Mapping[str, str]] | None = None,
        cover: File | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobObject:
        """See `Client.audiobook`."""
        return await self._job(calls.audiobook(file, chapters, cover, idempotency_key, options))

    async def transcripts(
        self,
        files: Iterable[File] = (),
        *,
        manifest: File | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobObject:
        """See `Client.transcripts`."""
        return await self._job(calls.transcripts(files, manifest, idempotency_key, options))

    async def batch(
        self, lines: Iterable[Mapping[str, Any]] | File, *, idempotency_key: str | None = None, **options: Any
    ) -> JobObject:
        """See `Client.batch`."""
        return await self._job(calls.batch(lines, idempotency_key, options))

    async def job(self, job_id: str, *, wait: float = 0) -> JobObject:
        """See `Client.job`."""
        return await self._job(calls.job(job_id, wait))

    async def wait(self, job_id: str) -> JobObject:
        """Return a job that has succeeded. Raises `JobFailed`."""
        while True:
            job = await self.job(job_id, wait=LONGEST_WAIT)
            if job.status.is_terminal:
                return succeeded(job)

    async def jobs(self, **filters: Any) -> AsyncIterator[JobObject]:
        """See `Client.jobs`."""
        after = None
        while True:
            page = calls.parsed(JobList, await self.send(calls.page({**filters, "after": after})))
            for job in page.data:
                yield job
            if not page.has_more:
                return
            after = page.next

    async def cancel(self, job_id: str) -> JobObject:
        """See `Client.cancel`."""
        return await self._job(calls.action(job_id, "cancel"))

    async def retry(self, job_id: str) -> JobObject:
        """See `Client.retry`."""
        return await self._job(calls.action(job_id, "retry"))

    async def delete(self, job_id: str) -> None:
        """See `Client.delete`."""
        await self.send(calls.delete(job_id))

    async def read(self, file: FileObject) -> bytes:
        """Return the bytes of a file of a result."""
        return (await self.send(Call("GET", file.url))).content

    async def voices(self) -> list[VoiceObject]:
        """See `Client.voices`."""
        return calls.parsed(VoiceList, await self.send(Call("GET", "/v1/voices"))).data

    async def webhook_secret(self) -> str:
        """See `Client.webhook_secret`."""
        return calls.parsed(WebhookSecret, await self.send(Call("GET", "/v1/webhook-secret"))).secret

    async def webhook_calls(self, job_id: str) -> list[WebhookCall]:
        """See `Client.webhook_calls`."""
        return calls.parsed(WebhookCalls, await self.send(Call("GET", f"/v1/jobs/{job_id}/webhook"))).calls

    async def call_webhook_again(self, job_id: str) -> None:
        """See `Client.call_webhook_again`."""
        await self.send(Call("POST", f"/v1/jobs/{job_id}/webhook"))

    async def workers(self) -> list[WorkerObject]:
        """See `Client.workers`."""
        return calls.parsed(WorkerList, await self.send(Call("GET", "/v1/workers"))).data
