"""`make demo`: start the whole stack, do one real job of each kind, compare what was heard with what was spoken.

The exit code is 0 only if they are equal. What was made stays in `demo-output/`.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.stack import Stack, StackError
from app.stack.environment import without_settings

TEXT = "今天是三月十七号。小红打开大门，看见了一件毛衣。上海的夏天很暖和。"
"""Within the small domain of the demo models, whose recogniser writes numbers in characters."""
STORY = Path(__file__).resolve().parents[1] / "models" / "demo" / "domain-story.txt"
"""Three chapters; the models' own README says how well they are heard."""
STORY_TITLE = "森林故事"
CHAPTERS = 3
LEAST_ALIKE = 0.94
"""Of the story's characters; 0.985 was heard when this was written."""

KEPT = {
    f"VOXQUEUE_{name}"
    for name in ("DEVICE", "TTS_VOICE", "TTS_PRECISION", "VOCODER", "STT_MODEL", "STT_COMPUTE_TYPE", "MODEL_CACHE")
}
"""Settings that the demo takes over; ports, keys and folders are its own."""

READY_SECONDS = 180
JOB_SECONDS = 300
POLL_SECONDS = 0.1
TERMINAL = {"succeeded", "failed", "canceled"}


class DemoError(Exception):
    """The demo did not come to its end; the message says at what."""


@dataclass(frozen=True)
class Row:
    """One line of the table at the end."""

    job: dict[str, Any]
    name: str
    text_in: str
    text_heard: str


class Demo:
    """The jobs of the demo, over one running stack."""

    def __init__(self, url: str, output: Path, console: Console) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        self._output = output
        self._console = console

    def run(self) -> list[Row]:
        """Do every job in turn and return what to show of each.

        Raises:
            DemoError: a job was refused or failed.

        """
        self._output.mkdir(parents=True, exist_ok=True)
        columns = (
            *(TextColumn("{task.description:<12}"), BarColumn(40), TaskProgressColumn()),
            *(TextColumn("{task.fields[state]}"), TimeElapsedColumn()),
        )
        with self._client, Progress(*columns, console=self._console) as progress:
            spoken = self._speak(progress)
            heard = self._hear("speech.wav", progress)
            book = self._bind(progress)
            read = self._hear(f"{STORY_TITLE}.m4b", progress)
        chapters = ", ".join(child["title"] for child in self._manifest()["chapters"])
        share = alike(STORY.read_text(encoding="utf-8"), read["output"]["text"])
        return [
            Row(spoken, "text to speech", TEXT, ""),
            Row(heard, "speech to text", "speech.wav", heard["output"]["text"].strip()),
            Row(book, "audiobook", chapters, ""),
            Row(read, "speech to text", f"{STORY_TITLE}.m4b", f"{share:.1%} of the characters alike"),
        ]

    def _speak(self, progress: Progress) -> dict[str, Any]:
        answer = self._client.post("/v1/tts", json={"text": TEXT, "subtitles": ["srt"]})
        return self._finish(answer, "speaking", progress)

    def _hear(self, name: str, progress: Progress) -> dict[str, Any]:
        with (self._output / name).open("rb") as audio:
            answer = self._client.post(
                "/v1/stt", files={"file": (name, audio)}, data={"language": "zh", "formats": "txt,json,srt"}
            )
        return self._finish(answer, "listening", progress, prefix="heard-")

    def _bind(self, progress: Progress) -> dict[str, Any]:
        with STORY.open("rb") as story:
            answer = self._client.post(
                "/v1/audiobooks",
                files={"file": ("story.txt", story)},
                data={"title": STORY_TITLE, "format": "mp3", "subtitles": "srt"},
            )
        return self._finish(answer, "book", progress)

    def _manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self._output / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    def _finish(self, answer: httpx.Response, what: str, progress: Progress, *, prefix: str = "") -> dict[str, Any]:
        """Follow the job that was just submitted to its end and fetch its files."""
        if answer.status_code != httpx.codes.ACCEPTED:
            raise DemoError(f"{what}: {answer.status_code} {answer.text}")
        bar = progress.add_task(what, total=None, state="queued")
        job = self._follow(answer.headers["Location"], bar, what, progress)
        progress.update(bar, total=1, completed=1, state=job["status"])
        if job["status"] != "succeeded":
            raise DemoError(f"{what}: the job {job['status']}: {job['error']}")
        for file in job["output"]["files"]:
            self._fetch(file["url"], self._output / (prefix + file["name"]))
        return job

    def _follow(self, url: str, bar: Any, what: str, progress: Progress) -> dict[str, Any]:
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            job: dict[str, Any] = self._client.get(url).raise_for_status().json()
            if job["status"] in TERMINAL:
                return job
            done, total = job["progress"]["done"], job["progress"]["total"]
            progress.update(bar, total=total or None, completed=done, state=job["status"])
            time.sleep(POLL_SECONDS)
        raise DemoError(f"{what}: not done after {JOB_SECONDS} s")

    def _fetch(self, url: str, path: Path) -> None:
        with self._client.stream("GET", url) as body, path.open("wb") as file:
            for block in body.raise_for_status().iter_bytes():
                file.write(block)


def table(rows: list[Row]) -> Table:
    """Return the closing table."""
    shown = Table(title="What was done", title_justify="left")
    shown.add_column("job")
    for name in ("seconds", "audio seconds", "real-time factor"):
        shown.add_column(name, justify="right")
    shown.add_column("text in", overflow="fold")
    shown.add_column("text heard", overflow="fold")
    for row in rows:
        metrics = row.job["metrics"]
        figures = (f"{metrics[key]:.3g}" for key in ("running_seconds", "audio_seconds", "realtime_factor"))
        shown.add_row(row.name, *figures, row.text_in, row.text_heard)
    return shown


def same(spoken: str, heard: str) -> bool:
    """Tell whether the texts are equal, punctuation included; spaces and line ends are not compared."""
    return "".join(spoken.split()) == "".join(heard.split())


def alike(spoken: str, heard: str) -> float:
    """Return the share of characters (letters and digits only) that two texts have in common, in order."""
    said, understood = ("".join(c for c in text if c.isalnum()) for text in (spoken, heard))
    return difflib.SequenceMatcher(None, said, understood, autojunk=False).ratio()


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("demo-output"), help="Folder for what was made."
)
def demo(output: Path) -> None:
    """Start everything on free ports, speak, listen, compare, stop everything."""
    # A pipe has no width of its own; 160 keeps the table's texts on one line each.
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="voxqueue-demo-") as data_dir:
        stack = Stack(data_dir, outer=without_settings(os.environ, keep=KEPT))
        try:
            rows = _on(stack, output, console)
        except (DemoError, StackError, httpx.HTTPError) as error:
            raise click.ClickException(str(error)) from error
    console.print(table(rows))
    console.print(f"Files: {', '.join(str(path) for path in sorted(output.iterdir()))}")
    heard = rows[1].text_heard
    if not same(TEXT, heard):
        raise click.ClickException(f"heard {heard!r}, but {TEXT!r} was spoken")
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    read = json.loads((output / f"heard-{STORY_TITLE}.json").read_text(encoding="utf-8"))["text"]
    if len(manifest["chapters"]) != CHAPTERS or alike(STORY.read_text(encoding="utf-8"), read) < LEAST_ALIKE:
        raise click.ClickException(f"the book does not say what the story says; heard: {read}")
    console.print("[green]The text heard equals the text spoken, and the book has its three chapters.[/green]")


def _on(stack: Stack, output: Path, console: Console) -> list[Row]:
    try:
        with console.status("starting Valkey, the web process, three workers and Flower"):
            stack.start()
            stack.wait_ready(READY_SECONDS)
        console.print(f"Running at {stack.url} (Flower: {stack.flower_url})")
        try:
            return Demo(stack.url, output, console).run()
        except (DemoError, httpx.HTTPError):
            console.print(stack.report(), markup=False, highlight=False)
            raise
    finally:
        with console.status("stopping"):
            stack.stop()


if __name__ == "__main__":
    demo()
