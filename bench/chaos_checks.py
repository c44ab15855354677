"""Looks at what a stack has made of its jobs: is everything there, right, once, and nothing besides?"""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field

from bench.hearing import character_error_rate, distance, letters
from jobs.connect import connect
from jobs.files import DiskStore
from speech.stt import Recognizer

PER_JOB_KEYS = re.compile(r"vq:(job|units|children):(?P<id>[0-9a-z]{26}(\.\d+)?)(:.*)?$")
HEARD_RIGHT = 0.35
"""A text heard with fewer errors than this is taken for itself; another's sentence has far more."""


@dataclass
class Findings:
    """What was found; all the lists should be empty."""

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
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
    heard = Ears(client)
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
            pairs.append((job_id, wanted, heard.url(job["output"]["files"][0]["url"])))
        else:
            pairs.append((job_id, heard.sample(wanted), job["output"]["text"]))
    for job_id, wanted, text in pairs:
        if distance(letters(wanted), letters(text)) > HEARD_RIGHT * len(letters(wanted)):
            findings.mixed.append(f"{job_id}: {wanted} was heard as {text}")
    findings.error_rate = character_error_rate([(wanted, text) for _, wanted, text in pairs])
    look_for_remains(stack, folder, findings)
    return findings


def batch_pairs(client, heard, job_id, job, texts, findings):
    """Return (job, spoken, heard) of a batch's lines; every line must be there once."""
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
            found.append(
                (f"{job_id} line {row['line']}", text, heard.bytes(archive.read(row["output"]["files"][0]["name"])))
            )
    return found


class Ears:
    """Listens with a recogniser of its own, which no chaos disturbs."""

    def __init__(self, client):
        from bench.chaos import ROOT

        self._client = client
        self._root = ROOT
        self._recognizer = Recognizer.load(ROOT / "models/demo/stt")
        self._samples = {}

    def bytes(self, audio):
        import tempfile

        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(audio)
            file.flush()
            return self._recognizer.transcribe([file.name], language="zh")[0].text

    def url(self, url):
        return self.bytes(self._client.call("GET", url).content)

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
        if key.startswith("vq:waiting:") or key == "vq:leases":
            findings.leaked.append(f"{key}: {redis.zrange(key, 0, 4)}")
