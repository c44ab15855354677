"""Looks at what a stack has made of its jobs: is everything there, right, once, and nothing besides?"""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import soundfile

from bench.hearing import character_error_rate, distance, letters
from jobs.connect import connect
from jobs.files import DiskStore
from speech.stt import Recognizer

PER_JOB_KEYS = re.compile(r"vq:(job|units|children):(?P<id>[0-9a-z]{26}(\.\d+)?)(:.*)?$")
HEARD_RIGHT = 0.35
"""A text heard with fewer errors than this is taken for itself; another's sentence has far more."""
SAME_SOUND_DB = 30.0
"""Two renderings of a text that differ by less (signal to noise) are the same: sums of floats in another order."""


class Heard(NamedTuple):
    """What a job's result must say, what was heard, and the clip if the job is speech."""

    name: str
    wanted: str
    text: str
    clip: bytes | None = None


@dataclass
class Findings:
    """What was found; all the lists should be empty."""

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    misheard: int = 0
    """Clips that are heard wrongly even when they are made anew, undisturbed: the recogniser's fault."""
    orphans: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    error_rate: float = 0.0
    extra_attempts: int = 0

    @property
    def clean(self):
        """Whether nothing was lost, doubled, mixed or left behind."""
        return not (self.lost or self.doubled or self.mixed or self.orphans or self.leaked)


def examine(stack, client, expected, jobs, folder):
    """Look at all jobs of a stack that has come to rest."""
    findings = Findings(jobs=len(expected))
    heard = Ears()
    pairs = []
    for job_id, (kind, wanted) in expected.items():
        job = jobs[job_id]
        findings.extra_attempts += max(0, job["attempt"] - 1)
        if job["status"] != "succeeded":
            findings.lost.append(f"{job_id} {kind} is {job['status']}: {job['error']}")
            continue
        names = [file["name"] for file in job["output"]["files"]]
        if len(names) != len(set(names)):
            findings.doubled.append(f"{job_id}: {names}")
        if kind == "batch":
            pairs += batch_pairs(client, heard, job_id, job, wanted, findings)
        elif kind == "tts":
            clip = client.call("GET", job["output"]["files"][0]["url"]).content
            pairs.append(Heard(job_id, wanted, heard.bytes(clip), clip))
        else:
            pairs.append(Heard(job_id, heard.sample(wanted), job["output"]["text"]))
    for one in pairs:
        if distance(letters(one.wanted), letters(one.text)) > HEARD_RIGHT * len(letters(one.wanted)):
            if one.clip is not None and is_same_sound(one.clip, spoken_anew(client, one)):
                findings.misheard += 1
            else:
                findings.mixed.append(f"{one.name}: {one.wanted} was heard as {one.text}")
    findings.error_rate = character_error_rate([(one.wanted, one.text) for one in pairs])
    look_for_remains(stack, folder, findings)
    return findings


def spoken_anew(client, one):
    """Return the clip of a text as the stack makes it when nothing disturbs it."""
    job = client.finished(client.submit("/v1/tts", f"anew-{one.name}", json={"text": one.wanted}))
    return client.call("GET", job["output"]["files"][0]["url"]).content


def is_same_sound(clip, other):
    """Whether two clips are one rendering of one text."""
    (first, rate), (second, other_rate) = (soundfile.read(io.BytesIO(one)) for one in (clip, other))
    if rate != other_rate or first.shape != second.shape:
        return False
    noise = float(np.square(first - second).sum())
    return noise == 0 or 10 * np.log10(float(np.square(first).sum()) / noise) >= SAME_SOUND_DB


def batch_pairs(client, heard, job_id, job, texts, findings):
    """Return what was heard of a batch's lines; every line must be there once."""
    urls = {file["name"]: file["url"] for file in job["output"]["files"]}
    rows = [json.loads(line) for line in client.call("GET", urls["results.jsonl"]).text.splitlines()]
    ids = [row["custom_id"] for row in rows]
    if ids != [str(i) for i in range(len(texts))]:
        findings.doubled.append(f"{job_id}: lines {ids}")
    found = []
    with zipfile.ZipFile(io.BytesIO(client.call("GET", urls["results.zip"]).content)) as archive:
        for row, text in zip(rows, texts, strict=False):
            if row["status"] != "succeeded":
                findings.lost.append(f"{job_id} line {row['line']}: {row['error']}")
                continue
            clip = archive.read(row["output"]["files"][0]["name"])
            found.append(Heard(f"{job_id} line {row['line']}", text, heard.bytes(clip), clip))
    return found


class Ears:
    """Listens with a recogniser of its own, which no chaos disturbs."""

    def __init__(self):
        from bench.chaos import ROOT

        self._root = ROOT
        self._recognizer = Recognizer.load(ROOT / "models/demo/stt")
        self._samples = {}

    def bytes(self, audio):
        import tempfile

        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(audio)
            file.flush()
            return self._recognizer.transcribe([file.name], language="zh")[0].text

    def sample(self, name):
        if name not in self._samples:
            path = self._root / "models/demo/samples" / name
            self._samples[name] = self._recognizer.transcribe([path], language="zh")[0].text
        return self._samples[name]


def look_for_remains(stack, folder, findings):
    """Find files without a record, and keys that a quiet stack should not have."""
    redis = connect(stack.redis_url)
    for job_id in DiskStore(folder / "jobs").job_ids():
        if not redis.exists(f"vq:job:{job_id}"):
            findings.orphans.append(f"{job_id}: files without a record")
    parts = [str(path) for path in (folder / "jobs").glob("*/*/.part-*")]
    findings.orphans += [f"{path}: an unfinished file" for path in parts]
    for key in redis.scan_iter(match="vq:*", count=1000):
        found = PER_JOB_KEYS.match(key)
        if found and not redis.exists(f"vq:job:{found['id']}"):
            findings.leaked.append(f"{key}: of a job that is gone")
        if found and key.startswith("vq:units:") and redis.hget(f"vq:job:{found['id']}", "status") == "succeeded":
            findings.leaked.append(f"{key}: the journal of a finished job")
        if key in {"vq:queued", "vq:characters", "vq:seconds"}:
            findings.leaked.append(f"{key}: {redis.hgetall(key)}")
        if key.startswith("vq:waiting:") or key == "vq:leases":
            findings.leaked.append(f"{key}: {redis.zrange(key, 0, 4)}")
