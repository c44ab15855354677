"""The options of a book at the door, and what the command line makes of them."""

import io
import json

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.plans import plan_lines
from tests.app.problems import assert_problem

CHAPTERS = [{"title": "一", "text": "话说。"}, {"title": "二", "text": "再说。"}]


@pytest.fixture
def voices(registry):
    registry.publish("voices", {"demo": {"speakers": ["F7", "M7"], "emotions": ["neutral", "happy"]}})


@pytest.fixture
def post(client):
    """Send a form: strings are fields, pairs are files."""

    def send(path, **parts):
        data = {name: one if isinstance(one, str) else (io.BytesIO(one[0]), one[1]) for name, one in parts.items()}
        return client.post(path, data=data, content_type="multipart/form-data")

    return send


def test_voices_of_chapters_are_checked_at_the_door(client, voices):
    body = {"chapters": CHAPTERS, "chapter_voices": {"2": "demo/M7"}}
    assert client.post("/v1/audiobooks", json=body).json["input"]["chapter_voices"] == {"2": "demo/M7"}
    wrong = client.post("/v1/audiobooks", json={**body, "chapter_voices": {"1-2": "nobody"}})
    assert_problem(wrong, 422, field="chapter_voices.1-2.voice")


@pytest.mark.parametrize("ranges", ["", "all", "1-", "-1", "1;2", "1" * 1001])
def test_ranges_of_chapters_are_checked_at_the_door(client, voices, ranges):
    answer = client.post("/v1/audiobooks", json={"chapters": CHAPTERS, "chapter_voices": {ranges: "demo"}})
    assert answer.status_code == 422
    assert "chapter_voices" in answer.json["errors"][0]["field"]


def test_a_form_has_voices_of_chapters_and_all_four_pauses_as_json(post, voices):
    pauses = {"sentence": 1, "paragraph": 2, "title": 3, "chapter": 4}
    answer = post(
        "/v1/audiobooks", file=(b"text", "a.txt"), chapter_voices='{"1": "demo/M7"}', pauses=json.dumps(pauses)
    )
    assert answer.json["input"]["chapter_voices"] == {"1": "demo/M7"}
    assert answer.json["input"]["pauses"] == pauses


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--chapter-voice", "demo/M7", "is not of the form"),
        ("--chapter-voice", "=demo/M7", "is not of the form"),
        ("--pause", "word=5", "sentence, paragraph, title, chapter"),
        ("--pause", "chapter=1.5", "and milliseconds"),
        ("--output", "x.mp3", "name a folder, and give --format mp3"),
        ("--output", "x.m4b --subtitles srt", "x.m4b is one file; name a folder"),
    ],
)
def test_the_command_line_names_a_wrong_option_before_anything_is_sent(tmp_path, option, value, why):
    (tmp_path / "a.txt").write_text("话说。")
    arguments = ["--server", "http://127.0.0.1:9", "book", str(tmp_path / "a.txt"), option, *value.split()]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert option in result.stderr
    assert why in " ".join(result.stderr.replace("│", " ").split())


def test_a_plan_is_printed_a_line_for_each_chapter_with_voice_and_first_line():
    book = {"title": "书", "author": "王", "chapters_selected": 1, "chapters_total": 2, "characters": 9}
    chapter = {"chapter": 1, "title": "一", "selected": True, "seconds_estimated": 90.0, "voice": "demo/M7"}
    chapter |= {"dialogue_characters": 4, "first_line": "话说。", "skipped": {"images": 2}}
    other = {**chapter, "chapter": 2, "title": "二", "selected": False, "voice": None, "skipped": {}}
    plan = {**book, "hours_estimated": 0.03, "chapters": [chapter, other], "dialogue_voice": "demo/F7"}
    plan |= {"dictionary": {"重庆": 0}, "left_out": [{"title": "目录", "reason": "table of contents"}]}
    plan["warnings"] = [{"code": "x", "detail": "odd"}]
    assert list(plan_lines(plan)) == [
        "书, 王",
        "1 of 2 chapters, 9 characters, about 0.0 hours",
        "    1    1.5 min  一  [demo/M7]  (without 2 images): 话说。",
        "    2          -  二: 话说。",
        "4 characters of quoted speech by demo/F7",
        "dictionary: 重庆 stands 0 times in the text",
        "not read: 目录 (table of contents)",
        "warning: odd",
    ]
