"""Who hears in `bench.stt`: faster-whisper by itself, our recogniser in this process, and the whole queue."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import httpx

from app.stack import Stack
from app.stack.environment import without_settings
from bench.stt_measures import processor_seconds_of
from speech.stt import DecodeOptions, Recognizer
from workers.batching import BatchScheduler
from workers.recognizers import LINGER_SHARE

PATIENCE = 300
ENDED = {"succeeded", "failed", "canceled"}


class Library:
    """faster-whisper itself, with the options that we use."""

    def __init__(self, folder: Path, threads: int) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        self.model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self.pipeline = BatchedInferencePipeline(self.model)
        self.common = {"language": "zh", "beam_size": 5, "temperature": 0.0, "vad_filter": True}

    def one_by_one(self, paths: list[Path], *, timestamps: bool = True) -> list[str]:
        def heard(path: Path) -> str:
            segments, _ = self.model.transcribe(
                str(path),
                condition_on_previous_text=False,
                without_timestamps=not timestamps,
                **self.common,
            )
            return "".join(segment.text for segment in segments)

        return [heard(path) for path in paths]

    def batched(self, paths: list[Path], *, rows: int = 8, timestamps: bool = True) -> list[str]:
        def heard(path: Path) -> str:
            segments, _ = self.pipeline.transcribe(
                str(path), batch_size=rows, without_timestamps=not timestamps, **self.common
            )
            return "".join(segment.text for segment in segments)

        return [heard(path) for path in paths]


class Ours:
    """Our recogniser as a worker runs it: task threads prepare, the scheduler batches, one engine thread decodes."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.recognizer = Recognizer.load(folder, compute_type="int8", threads=threads)
        self.recognizer.warm_up()

    def cost(self, payload: object) -> int:
        return self.recognizer.cost(payload)

    def bucket(self, payload: object) -> object:
        return self.recognizer.bucket(payload)

    def run(self, payloads: list) -> list:
        return self.recognizer.decode(payloads)

    def jobs(self, paths: list[Path], *, rows: int = 8, timestamps: bool = True) -> list[str]:
        scheduler = BatchScheduler(
            self, max_cost=sys.maxsize, max_rows=rows, linger_seconds=0.75, linger_share=LINGER_SHARE
        )
        scheduler.start()
        options = DecodeOptions(language="zh", temperature=0.0, timestamps=timestamps)

        def job(path: Path) -> str:
            preparation = self.recognizer.prepare(path, options)
            futures: list[Future] = [scheduler.submit(chunk, job=path.name) for chunk in preparation]
            return self.recognizer.assemble(preparation, [future.result() for future in futures]).text

        try:
            with ThreadPoolExecutor(16) as threads:
                return list(threads.map(job, paths))
        finally:
            scheduler.stop(drain=True)


class Queue:
    """The whole stack: each file is a job of its own, submitted over HTTP and waited for to its end."""

    def __init__(self, model: Path | str, data: Path, threads: int, **settings: str) -> None:
        known = {
            "VOXQUEUE_STT_MODEL": str(model),
            "VOXQUEUE_STT_COMPUTE_TYPE": "int8",
            "VOXQUEUE_CPU_THREADS": str(threads),
            "VOXQUEUE_SLOTS": "stt,cpu",
            "VOXQUEUE_DEVICE": "cpu",
            "VOXQUEUE_LOG_LEVEL": "WARNING",
        }
        self.stack = Stack(data, env=known | settings, outer=without_settings(os.environ))

    def __enter__(self) -> Self:
        self.stack.start()
        self.client = httpx.Client(base_url=self.stack.url, timeout=120)
        end = time.monotonic() + PATIENCE
        while not self._listens():  # /readyz would wait for a worker that speaks
            assert time.monotonic() < end, self.stack.report()
            time.sleep(0.5)
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()
        self.stack.stop()

    def jobs(self, paths: list[Path]) -> list[str]:
        places = [self.submit(path, temperature="0", formats="txt") for path in paths]
        return [self.text(self.wait(place)) for place in places]

    def submit(self, path: Path, **fields: str) -> str:
        """Return the address of a new job."""
        with path.open("rb") as file:
            answer = self.client.post("/v1/stt", files={"file": (path.name, file)}, data={"language": "zh", **fields})
        return answer.raise_for_status().headers["Location"]

    def job(self, place: str, wait: float = 0) -> dict:
        return self.client.get(place, params={"wait": wait} if wait else {}).raise_for_status().json()

    def wait(self, place: str) -> dict:
        """Return a job when it has succeeded."""
        while (job := self.job(place, 60))["status"] not in ENDED:
            pass
        assert job["status"] == "succeeded", job
        return job

    def text(self, job: dict) -> str:
        if not job["output"].get("text_truncated"):
            return job["output"]["text"]
        [file] = [file for file in job["output"]["files"] if file["name"].endswith(".txt")]
        return self.client.get(file["url"]).raise_for_status().text.replace("\n", "")

    def processor_seconds(self) -> float:
        """Of the whole stack: web, workers, Valkey, Flower."""
        return processor_seconds_of(os.getpid()) - time.process_time()

    def _listens(self) -> bool:
        try:
            answer = self.client.get("/v1/workers")
        except httpx.TransportError:
            return False
        return answer.is_success and any(worker["kind"] == "stt" for worker in answer.json()["data"])
