"""Sixty recordings in six formats and four rates, with silence, noise and broken files among them, at once."""

import csv
import io
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from bench.hearing import character_error_rate
from speech.audio import encode, resample
from speech.tts import Voice
from tests.e2e.jobs import finish

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
DEMO = Path(__file__).parents[2] / "models" / "demo"
SENTENCES = [s for s in (DEMO / "domain-sentences.txt").read_text("utf-8").splitlines() if s.strip()][80:134]
FORMATS = ("wav", "flac", "mp3", "opus", "m4a", "aac")
RATES = (8000, 16000, 24000, 48000)


@pytest.fixture(scope="module")
def heap(tmp_path_factory):
    """Return {name: (bytes, what it says or None)}."""
    folder = tmp_path_factory.mktemp("heap")
    voice = Voice.load("demo")
    found = {}
    for number, (text, audio) in enumerate(zip(SENTENCES, voice.synthesize(SENTENCES), strict=True)):
        kind, rate = FORMATS[number % 6], RATES[number % 4]
        rate = max(rate, 16000) if kind in {"mp3", "opus", "m4a", "aac"} else rate
        path = folder / f"speech{number:02d}.{kind}"
        encode(path, [resample(audio, 16000, rate)], rate=rate, format=kind)
        found[path.name] = (path.read_bytes(), text)
    rng = np.random.default_rng(0)
    for name, samples in {
        "silence.wav": np.zeros(48000, np.float32),
        "noise.wav": (0.02 * rng.standard_normal(48000)).astype(np.float32),
        "instant.wav": np.zeros(160, np.float32),
    }.items():
        encode(folder / name, [samples], rate=16000, format="wav")
        found[name] = ((folder / name).read_bytes(), "")
    found["video.mp4"] = (video(folder / "video.mp4", voice.synthesize([SENTENCES[0]])[0]), SENTENCES[0])
    found["cut.wav"] = (broken_off(folder / "cut.wav", voice.synthesize([SENTENCES[1], SENTENCES[2]])), SENTENCES[1])
    found["text.wav"] = ("这是一封信，不是录音。".encode() * 40, None)
    found["empty.mp3"] = (b"", None)
    return found


def broken_off(path, sentences):
    """Return a recording whose end is missing: it breaks off in the pause behind the first sentence."""
    pause = np.zeros(16000, np.float32)
    encode(path, [np.concatenate([sentences[0], pause, sentences[1]])], rate=16000, format="wav")
    return path.read_bytes()[: 2 * (len(sentences[0]) + len(pause) // 2)]


def video(path, audio):
    """Return a small film with the audio."""
    with av.open(str(path), "w") as film:
        picture = film.add_stream("mpeg4", rate=10, options={"b": "100000"})
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        sound = film.add_stream("aac", rate=16000)
        for number in range(int(len(audio) / 1600) + 1):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number % 255, np.uint8), format="rgb24")
            film.mux(picture.encode(frame))
        frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = 16000
        film.mux(sound.encode(frame))
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))
    return path.read_bytes()


def test_each_good_one_is_right_each_bad_one_has_its_own_error(client, heap):
    files = [("files", (name, content)) for name, (content, _) in heap.items()]
    answer = client.post("/v1/transcripts", files=files, data={"language": "zh", "formats": "txt,srt"})
    assert answer.status_code == 202, answer.text
    job = finish(client, answer.json()["id"])
    assert job["status"] == "succeeded"
    urls = {file["name"]: file["url"] for file in job["output"]["files"]}
    summary = client.get(urls["summary.csv"]).content.decode("utf-8-sig")
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(summary))}
    assert set(rows) == set(heap)
    with zipfile.ZipFile(io.BytesIO(client.get(urls["transcripts.zip"]).content)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    cut = next(child for child in children(client, job["id"]) if child["input"]["files"][0]["name"] == "cut.wav")
    [warning] = cut["output"]["warnings"]
    assert (warning["code"], warning["at"] > 1) == ("truncated", True)
    pairs = []
    for name, (_, spoken) in heap.items():
        if spoken is None:
            assert rows[name]["status"] == "failed", rows[name]
            assert name in rows[name]["error"] or "empty" in rows[name]["error"]
            continue
        assert rows[name]["status"] == "succeeded", rows[name]
        heard = texts[f"{Path(name).stem}.txt"].strip()
        if spoken:
            pairs.append((spoken, heard))
        else:
            assert heard == "", f"{name}: {heard}"
    assert character_error_rate(pairs) <= 0.03, [pair for pair in pairs if pair[0] != pair[1]]


def children(client, job_id):
    return client.get("/v1/jobs", params={"parent": job_id, "limit": 100}).json()["data"]


def test_retry_runs_only_what_failed(client, heap):
    files = [("files", (name, heap[name][0])) for name in ("speech00.wav", "text.wav")]
    job_id = client.post("/v1/transcripts", files=files, data={"language": "zh"}).json()["id"]
    finish(client, job_id)
    before = {child["id"]: child["attempt"] for child in children(client, job_id)}
    assert client.post(f"/v1/jobs/{job_id}/retry").status_code in {200, 202}
    finish(client, job_id)
    after = {child["id"]: child for child in children(client, job_id)}
    assert {after[i]["status"]: after[i]["attempt"] - before[i] for i in before} == {"succeeded": 0, "failed": 1}
