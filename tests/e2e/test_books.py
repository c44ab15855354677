"""A book goes in as text, Markdown or EPUB and comes out as an M4B whose words can be heard."""

import io
import json
import zipfile
from pathlib import Path

import av
import pytest
import soundfile
from click.testing import CliRunner

from app.cli import main
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
    assert all(entry["loudness"]["silence_share"] < 0.3 for entry in manifest["chapters"]), "rivals' books have 70 %"
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


def manifest_of(client, job):
    assert job["status"] == "succeeded", job["error"]
    return client.get(next(f["url"] for f in job["output"]["files"] if f["name"] == "manifest.json")).json()


def from_chapters(client, chapters, **options):
    """Have chapters (title, text) spoken; returns the job when it has ended."""
    listed = [{"title": title, "text": text} for title, text in chapters]
    answer = client.post("/v1/audiobooks", json={"title": "书", "chapters": listed, **options})
    assert answer.status_code == 202, answer.text
    return finish(client, answer.json()["id"])


def test_twelve_chapters_stay_in_their_order_in_every_list_and_in_the_m4b(client, tmp_path):
    """The loudest complaint about rivals: 1, 10, 11, 12, 2."""
    titles = [f"第{n}章" for n in range(1, 13)]
    sentences = [line for lines in CHAPTERS for line in lines[1:]][:12]
    job = from_chapters(client, zip(titles, sentences, strict=True), speak_titles=False, format="mp3")
    manifest = manifest_of(client, job)
    assert [entry["title"] for entry in manifest["chapters"]] == titles
    children = client.get("/v1/jobs", params={"parent": job["id"], "limit": 50}).json()["data"]
    assert [child["input"]["title"] for child in children] == titles
    sounds = [file["name"] for file in job["output"]["files"] if file["name"].endswith(".mp3")]
    assert sounds == sorted(sounds), "a shell and a player sort the files rightly, too"
    assert [name.split("-")[1] for name in sounds] == [f"{title}.mp3" for title in titles]
    book = tmp_path / "book.m4b"
    book.write_bytes(client.get(next(f["url"] for f in job["output"]["files"] if f["name"].endswith(".m4b"))).content)
    with av.open(str(book)) as opened:
        marks = [(mark["metadata"]["title"], float(mark["start"] * mark["time_base"])) for mark in opened.chapters()]
    assert [title for title, _ in marks] == titles
    assert [start for _, start in marks] == sorted(start for _, start in marks)


def samples_of(client, job):
    """Return the samples of each chapter's WAV."""
    urls = [file["url"] for file in job["output"]["files"] if file["name"].endswith(".wav")]
    return [soundfile.read(io.BytesIO(client.get(url).content), dtype="int16")[0].astype(int) for url in urls]


def alike(one, other):
    return one.shape == other.shape and abs(one - other).max() <= 1


def test_a_chapter_may_have_a_voice_of_its_own_and_quoted_speech_another(client):
    narration, speech = CHAPTERS[0][1], CHAPTERS[0][2]
    text = f"{narration}“{speech}”{narration}"
    chapters, options = [("一", text), ("二", text)], {"speak_titles": False, "loudness": "none"}
    plain = samples_of(client, from_chapters(client, chapters, voice="demo/F7", **options))
    assert alike(plain[0], plain[1])
    changed = {"chapter_voices": {"2": "demo/M7"}}
    own = from_chapters(client, chapters, voice="demo/F7", **changed, **options)
    low = samples_of(client, from_chapters(client, chapters, voice="demo/M7", **options))
    mixed = samples_of(client, own)
    assert alike(mixed[0], plain[0])
    assert alike(mixed[1], low[1])
    assert not alike(mixed[0], low[0])
    assert [entry["voice"] for entry in manifest_of(client, own)["chapters"]] == ["demo/F7", "demo/M7"]
    two = samples_of(client, from_chapters(client, chapters[:1], voice="demo/F7", dialogue_voice="demo/M7", **options))
    edge = 8000  # half a second: what is not quoted begins and ends as it does without a second voice
    assert alike(two[0][:edge], plain[0][:edge])
    assert not alike(two[0], plain[0])


def test_the_dictionary_decides_how_a_word_is_said(client):
    chapters, options = [("一", CHAPTERS[0][1])], {"speak_titles": False, "loudness": "none"}
    word = CHAPTERS[0][1][:2]
    plain = samples_of(client, from_chapters(client, chapters, **options))[0]
    said = samples_of(client, from_chapters(client, chapters, dictionary={word: "ma1 ma1"}, **options))[0]
    assert not alike(plain, said)
    wrong = from_chapters(client, chapters, dictionary={word: "xx9 ma1"}, **options)
    assert wrong["status"] == "failed"
    assert word in wrong["error"]["detail"]
    assert wrong["children"]["total"] == 0, "it is told before anything is spoken"


def test_what_cannot_be_spoken_is_left_out_and_told_or_fails_a_strict_book(client):
    line = CHAPTERS[0][1]
    chapters = [("一", f"{line}\n\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0d\n{line}"), ("二", line)]
    lenient = manifest_of(client, from_chapters(client, chapters, speak_titles=False))
    assert [len(entry["skipped_sentences"]) for entry in lenient["chapters"]] == [1, 0]
    assert "cannot be spoken" in lenient["chapters"][0]["warnings"][0]
    assert [entry["sentences"] for entry in lenient["chapters"]] == [2, 1]
    strict = from_chapters(client, chapters, speak_titles=False, strict=True)
    assert strict["status"] == "failed"
    assert "strict" in strict["error"]["detail"]


def test_a_book_for_acx_keeps_its_rules_and_says_what_was_measured(client):
    text = "\n".join(CHAPTERS[1][1:])
    manifest = manifest_of(client, from_chapters(client, [("一", text)], loudness="acx"))
    measured = manifest["chapters"][0]["loudness"]
    assert -23 <= measured["rms_dbfs"] <= -18
    assert measured["peak_dbfs"] <= -3
    assert measured["noise_floor_dbfs"] <= -60
    assert manifest["chapters"][0]["warnings"] == []


def test_the_command_line_shows_a_plan_and_keeps_nothing_of_it(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.txt").write_text(STORY, "utf-8")
    arguments = ["--server", stack.url, "--quiet", "book", "story.txt", "--plan", "--chapters", "1,3"]
    result = CliRunner().invoke(main, [*arguments, "--chapter-voice", "3=demo/M7", "--pause", "chapter=2000"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "2 of 3 chapters" in lines[1]
    assert ["-" in line.split()[1] for line in lines[2:5]] == [False, True, False]
    assert ["[demo/M7]" in line for line in lines[2:5]] == [False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["story.txt"]


def test_the_command_line_saves_one_m4b_or_a_folder_with_every_chapter(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.md").write_text(f"# 一\n\n{CHAPTERS[0][1]}\n\n# 二\n\n{CHAPTERS[1][1]}\n", "utf-8")
    arguments = ["--server", stack.url, "--quiet", "book", "b.md", "--title", "书"]
    for options in (("-o", "out/book.m4b"), ("-o", "all.of.it", "--subtitles", "srt")):
        assert CliRunner().invoke(main, [*arguments, *options]).exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["book.m4b"]
    expected = ["01-一.srt", "01-一.wav", "02-二.srt", "02-二.wav", "manifest.json", "书.m4b"]
    assert sorted(path.name for path in (tmp_path / "all.of.it").iterdir()) == expected


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
