"""Voice-overs by a CSV and back to text: the command line, real workers, folders all the way; a manifest, too."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from bench.hearing import character_error_rate
from tests.e2e.jobs import finish

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DOMAIN = Path(__file__).parents[2] / "models" / "demo" / "domain-sentences.txt"
SENTENCES = [s for s in DOMAIN.read_text("utf-8").splitlines() if s.strip()][80:83]
SPOKEN = dict(zip(("one/first", "one/second", "third"), SENTENCES, strict=True))


@pytest.fixture
def run(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("VOXQUEUE_URL", stack.url)
    return lambda *arguments: CliRunner().invoke(main, ["-q", *arguments])


def test_clips_of_a_csv_are_heard_again_in_their_folders(run, tmp_path):
    rows = "".join(f"{custom_id},{text},wav\n" for custom_id, text in SPOKEN.items())
    (tmp_path / "clips.csv").write_text(f"custom_id,text,format\n{rows}wrong,你好。,gif\n", "utf-8")
    spoken = run("batch", "clips.csv", "-o", "clips")
    assert spoken.exit_code == 1, "one line is wrong"
    results = [json.loads(line) for line in (tmp_path / "clips" / "results.jsonl").read_text("utf-8").splitlines()]
    assert [(row["custom_id"], row["status"]) for row in results] == [
        *((custom_id, "succeeded") for custom_id in SPOKEN),
        ("wrong", "failed"),
    ]
    assert "line 5" in spoken.stderr
    for row in results:
        for name in (file["name"] for file in row.get("output", {}).get("files", [])):
            assert (tmp_path / "clips" / name).read_bytes()[:4] == b"RIFF"
    (tmp_path / "clips" / "results.jsonl").unlink()

    assert run("transcribe", "clips", "-o", "texts", "--language", "zh", "-F", "txt").exit_code == 0
    heard = {name: (tmp_path / "texts" / f"{name}.txt").read_text("utf-8").strip() for name in SPOKEN}
    assert character_error_rate([(SPOKEN[name], heard[name]) for name in SPOKEN]) <= 0.15, heard
    summary = csv.DictReader((tmp_path / "texts" / "summary.csv").read_text("utf-8-sig").splitlines())
    assert {row["file"]: row["status"] for row in summary} == {f"{name}.wav": "succeeded" for name in SPOKEN}


def test_a_manifest_names_recordings_of_the_area(client, area):
    job = finish(client, client.post("/v1/tts", json={"text": SPOKEN["third"]}).json()["id"])
    sound = client.get(job["output"]["files"][0]["url"]).content
    (area / "calls").mkdir()
    (area / "calls" / "a.wav").write_bytes(sound)
    manifest = (
        "store,file,name,language,formats\ncalls/a.wav,,2024/call.wav,zh,txt\ncalls/none.wav,,,,\n,own.wav,,zh,\n"
    )
    answer = client.post(
        "/v1/transcripts",
        files=[("files", ("own.wav", sound)), ("manifest", ("m.csv", manifest.encode()))],
        data={"formats": "srt"},
    )
    job = finish(client, answer.json()["id"])
    assert job["status"] == "succeeded", job
    files = {file["name"]: file["url"] for file in job["output"]["files"]}
    with zipfile.ZipFile(io.BytesIO(client.get(files["transcripts.zip"]).content)) as archive:
        heard = archive.read("2024/call.txt").decode().strip()
        assert character_error_rate([(SPOKEN["third"], heard)]) <= 0.1, heard
        assert "own.srt" in archive.namelist()
    rows = {row["file"]: row for row in client.get(files["summary.json"]).json()}
    assert rows["calls/none.wav"]["error"] == "store: there is no recording calls/none.wav"
    assert rows["2024/call.wav"]["words"] > 0
