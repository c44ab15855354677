"""A book goes in as text, Markdown or EPUB and comes out as an M4B whose words can be heard."""

import io
import json
import zipfile
from pathlib import Path

import av
import pytest

from bench.hearing import character_error_rate, letters
from speech.stt import Recognizer
from tests.e2e.jobs import finish

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
DEMO = Path(__file__).parents[2] / "models" / "demo"
STORY = (DEMO / "domain-story.txt").read_text("utf-8")
CHAPTERS = [part.strip().splitlines() for part in STORY.split("\n\n") if part.strip()]
TITLES = [lines[0] for lines in CHAPTERS]


def as_markdown():
    return "\n\n".join(f"# {lines[0]}\n\n" + "\n\n".join(lines[1:]) for lines in CHAPTERS).encode()


def as_epub():
    pages = {
        f"c{number}.xhtml": (
            '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>'
            f"<h1>{lines[0]}</h1>{''.join(f'<p>{line}</p>' for line in lines[1:])}</body></html>"
        )
        for number, lines in enumerate(CHAPTERS, 1)
    }
    items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in pages)
    spine = "".join(f'<itemref idref="{n}"/>' for n in pages)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">x</dc:identifier>'
        "<dc:title>森林故事</dc:title><dc:creator>张三</dc:creator><dc:language>zh</dc:language></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("book.opf", package)
        for name, page in pages.items():
            archive.writestr(name, page)
    return packed.getvalue()


BOOKS = {"story.txt": STORY.encode(), "story.md": as_markdown(), "story.epub": as_epub()}


@pytest.mark.parametrize("name", BOOKS)
def test_a_book_becomes_an_m4b_with_the_right_chapters_and_words(client, tmp_path, name):
    answer = client.post(
        "/v1/audiobooks",
        files={"file": (name, BOOKS[name])},
        data={"title": "森林故事", "author": "张三", "subtitles": "srt"},
    )
    assert answer.status_code == 202, answer.text
    job = finish(client, answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    urls = {file["name"]: file["url"] for file in job["output"]["files"]}
    book = tmp_path / "book.m4b"
    book.write_bytes(client.get(urls["森林故事.m4b"]).content)
    manifest = client.get(urls["manifest.json"]).json()
    with av.open(str(book)) as opened:
        chapters = opened.chapters()
        assert opened.metadata["title"] == "森林故事"
        assert opened.metadata["artist"] == "张三"
        seconds = opened.duration / av.time_base
    assert [letters(chapter["metadata"]["title"]) for chapter in chapters] == [letters(title) for title in TITLES]
    assert abs(seconds - manifest["seconds"]) < 0.5
    starts = [chapter["start"] * float(chapter["time_base"]) for chapter in chapters]
    assert starts == pytest.approx([entry["start_seconds"] for entry in manifest["chapters"]], abs=0.1)
    assert all(-18.5 < entry["loudness"]["integrated_lufs"] < -17.5 for entry in manifest["chapters"])
    heard = Recognizer.load(DEMO / "stt").transcribe([book], language="zh")[0].text
    assert character_error_rate([(STORY, heard)]) <= 0.06, heard


def test_a_plan_is_made_without_speaking(client):
    answer = client.post("/v1/audiobooks", files={"file": ("story.txt", BOOKS["story.txt"])}, data={"plan": "true"})
    job = finish(client, answer.json()["id"])
    plan = job["output"]["plan"]
    assert [letters(chapter["title"]) for chapter in plan["chapters"]] == [letters(title) for title in TITLES]
    assert plan["seconds_estimated"] > 60
    assert job["children"]["total"] == 0


def test_chosen_chapters_only_and_a_bad_choice_is_refused_with_the_reason(client):
    chosen = {"file": ("story.txt", BOOKS["story.txt"])}
    job = finish(client, client.post("/v1/audiobooks", files=chosen, data={"chapters_selected": "3"}).json()["id"])
    manifest = client.get(next(f["url"] for f in job["output"]["files"] if f["name"] == "manifest.json")).json()
    assert [entry["chapter"] for entry in manifest["chapters"]] == [3]
    wrong = finish(client, client.post("/v1/audiobooks", files=chosen, data={"chapters_selected": "9"}).json()["id"])
    assert wrong["status"] == "failed"
    assert "chapters_selected" in wrong["error"]["detail"]


def test_a_batch_answers_in_the_order_of_its_lines_and_bad_lines_fail_alone(client):
    lines = [
        {"custom_id": "b", "tts": {"text": TITLES[1]}},
        {"custom_id": "broken", "tts": {"text": "好", "sped": 2}},
        {"custom_id": "a", "tts": {"text": TITLES[0], "format": "mp3"}},
    ]
    body = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
    answer = client.post("/v1/batches", content=body, headers={"content-type": "application/jsonl"})
    assert answer.status_code == 202, answer.text
    job = finish(client, answer.json()["id"])
    urls = {file["name"]: file["url"] for file in job["output"]["files"]}
    rows = [json.loads(line) for line in client.get(urls["results.jsonl"]).text.splitlines()]
    assert [(row["custom_id"], row["status"]) for row in rows] == [
        ("b", "succeeded"),
        ("broken", "failed"),
        ("a", "succeeded"),
    ]
    assert "sped" in rows[1]["error"]["detail"]
    with zipfile.ZipFile(io.BytesIO(client.get(urls["results.zip"]).content)) as archive:
        assert sorted(archive.namelist()) == ["a.mp3", "b.wav"]
