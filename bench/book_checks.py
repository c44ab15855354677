"""Looks at a finished book: is every chapter there, whole, in its place, and heard as its own text?"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.hearing import distance, letters
from speech.stt import Recognizer

HEARD_RIGHT = 0.35
"""A text heard with fewer errors than this is taken for itself; another's sentences have far more."""
HEARD_SENTENCES = slice(1, 4)
"""Sentences of each chapter that are listened to, behind its title: in one clip, and one by one if that is misheard.

The demo recogniser loses its thread in one of some fifty clips of seventeen seconds, whoever made them.
"""
RATE = 16000


def faults_of(client: Any, job: dict[str, Any], chapters: list[list[str]]) -> list[str]:
    """Return what is wrong with a book, given the sentences of its chapters; nothing if all is well."""
    if job["status"] != "succeeded":
        return [f"the book is {job['status']}: {job['error']}"]
    urls = {file["name"]: file["url"] for file in job["output"]["files"]}
    manifest = client.get(urls["manifest.json"]).json()
    found = [f"warning: {warning['detail']}" for warning in job["output"]["warnings"]]
    entries = manifest["chapters"]
    if [entry["chapter"] for entry in entries] != list(range(1, len(chapters) + 1)):
        return [*found, f"chapters are {[entry['chapter'] for entry in entries]}"]
    for entry, sentences in zip(entries, chapters, strict=True):
        if entry["error"] or entry["sentences"] != len(sentences) + 1 or entry["skipped_sentences"]:
            told = entry["error"] or f"{entry['sentences']} of {len(sentences) + 1} sentences"
            found.append(f"chapter {entry['chapter']}: {told}")
    cues = {child["input"]["title"]: _cues(client, child) for child in children_of(client, job["id"])}
    for number, sentences in enumerate(chapters, 1):
        said = [letters(cue["text"]) for cue in cues[f"第{number}章"]]
        if said != [letters(text) for text in (f"第{number}章", *sentences)]:
            found.append(f"chapter {number}: the subtitles are not its sentences in their order")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book.m4b"
        path.write_bytes(client.get(urls[manifest["file"]], timeout=600).content)
        found += _misplaced(path, entries, chapters, cues, Path(folder))
    return found


def children_of(client: Any, job_id: str) -> list[dict[str, Any]]:
    """Return the chapters of a book as jobs, in their order."""
    children, after = [], None
    while True:
        page = client.get("/v1/jobs", params={"parent": job_id, "limit": 100, **({"after": after} if after else {})})
        children += page.json()["data"]
        after = page.json()["next"] if page.json()["has_more"] else None
        if after is None:
            return children


def _cues(client: Any, child: dict[str, Any]) -> list[dict[str, Any]]:
    url = next(file["url"] for file in child["output"]["files"] if file["name"].endswith(".json"))
    found = client.get(url).json()
    return found["cues"] if isinstance(found, dict) else found


def _misplaced(
    path: Path, entries: list[dict[str, Any]], chapters: list[list[str]], cues: dict[str, Any], folder: Path
) -> list[str]:
    """Compare the M4B's marks with the manifest, and listen to some sentences of each chapter where they should be."""
    recognizer = Recognizer.load(Path("models/demo/stt"))
    with av.open(str(path)) as book:
        marks = [(mark["metadata"]["title"], mark["start"] * float(mark["time_base"])) for mark in book.chapters()]
        found = [] if len(marks) == len(entries) else [f"{len(marks)} marks for {len(entries)} chapters"]
        found += [f"{b[0]} begins before {a[0]}" for a, b in pairwise(marks) if b[1] <= a[1]]
        clips: dict[int, list[_Clip]] = {}
        for entry, (title, start), chapter in zip(entries, marks, chapters, strict=False):
            if title != entry["title"] or abs(start - entry["start_seconds"]) > 0.1:
                found.append(f"the mark of chapter {entry['chapter']} is {title} at {start:.1f} s")
            heard, sentences = cues[entry["title"]][HEARD_SENTENCES], chapter[HEARD_SENTENCES.start - 1 :]
            ends = [*(cue["start"] for cue in heard[1:]), heard[-1]["end"]]
            clips[entry["chapter"]] = [
                _cut(book, said, start + cue["start"], start + end, folder)
                for said, cue, end in zip(sentences, heard, ends, strict=False)
            ]
    together = {number: _joined(parts) for number, parts in clips.items()}
    for number in _misheard(recognizer, together):
        one_by_one = dict(enumerate(clips[number]))
        found += [f"chapter {number}: {why}" for why in _misheard(recognizer, one_by_one).values()]
    return found


@dataclass(frozen=True)
class _Clip:
    said: str
    audio: NDArray[np.float32]
    path: Path

    def write(self) -> Path:
        soundfile.write(self.path, self.audio, RATE)
        return self.path


def _joined(clips: list[_Clip]) -> _Clip:
    said = "".join(clip.said for clip in clips)
    return _Clip(said, np.concatenate([clip.audio for clip in clips]), clips[0].path.with_suffix(".all.wav"))


def _misheard(recognizer: Recognizer, clips: dict[int, _Clip]) -> dict[int, str]:
    """Return which clips are not heard as what was said, and as what."""
    heard = recognizer.transcribe([clip.write() for clip in clips.values()], language="zh")
    return {
        number: f"{clip.said} was heard as {transcript.text}"
        for (number, clip), transcript in zip(clips.items(), heard, strict=True)
        if distance(letters(clip.said), letters(transcript.text)) > HEARD_RIGHT * len(letters(clip.said))
    }


def _cut(book: Any, said: str, start: float, end: float, folder: Path) -> _Clip:
    book.seek(int(max(0.0, start - 0.5) * av.time_base))
    stream = book.streams.audio[0]
    parts, at = [], None
    for frame in book.decode(stream):
        at = frame.time if at is None else at
        parts.append(frame.to_ndarray().reshape(-1))
        if frame.time > end:
            break
    audio = np.concatenate(parts)
    assert stream.rate == RATE
    piece = audio[round(max(0.0, start - at) * RATE) : round((end - at) * RATE)]
    return _Clip(said, piece, folder / f"{start:.3f}.wav")
