"""Specs, settings, IDs, states and what workers publish: the words that the rooms share."""

import ast
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.ids import child_id, is_id, new_id
from jobs.registry import Registry
from jobs.settings import Settings, table
from jobs.specs import SPECS, BatchLine, TTSSpec, parse_spec
from jobs.states import MOVES, TERMINAL, Kind, Priority, Status

JOBS = Path(sys.modules["jobs"].__file__).parent


class TestSpecs:
    @pytest.mark.parametrize(
        ("kind", "fields", "field"),
        [
            (Kind.TTS, {}, "text"),
            (Kind.TTS, {"text": ""}, "text"),
            (Kind.TTS, {"text": "a\x00b"}, "text"),
            (Kind.TTS, {"text": "a", "speed": 0.49}, "speed"),
            (Kind.TTS, {"text": "a", "speed": 2.01}, "speed"),
            (Kind.TTS, {"text": "a", "format": "ogg"}, "format"),
            (Kind.TTS, {"text": "a", "sample_rate": 44000}, "sample_rate"),
            (Kind.TTS, {"text": "a", "voise": "x"}, "voise"),
            (Kind.TTS, {"text": "a", "voice": ""}, "voice"),
            (Kind.TTS, {"text": "a", "voice": "x" * 201}, "voice"),
            (Kind.TTS, {"text": "a", "priority": "urgent"}, "priority"),
            (Kind.TTS, {"text": "a", "timeout_seconds": 0}, "timeout_seconds"),
            (Kind.TTS, {"text": "a", "metadata": {str(i): "" for i in range(17)}}, "metadata"),
            (Kind.TTS, {"text": "a", "metadata": {"k" * 65: ""}}, "metadata"),
            (Kind.TTS, {"text": "a", "metadata": {"k": "v" * 513}}, "metadata"),
            (Kind.TTS, {"text": "a", "metadata": {"k": 1}}, "metadata"),
            (Kind.TTS, {"text": "a", "webhook": {"url": "ftp://x/"}}, "webhook"),
            (Kind.STT, {"language": "Chinese"}, "language"),
            (Kind.STT, {"beam_size": 0}, "beam_size"),
            (Kind.STT, {"temperature": 1.5}, "temperature"),
            (Kind.STT, {"formats": []}, "formats"),
            (Kind.STT, {"url": "file:///etc/passwd"}, "url"),
            (Kind.STT, {"prompt": "x" * 2001}, "prompt"),
            (Kind.AUDIOBOOK, {"chapters": []}, "chapters"),
            (Kind.AUDIOBOOK, {"chapters_selected": "1-"}, "chapters_selected"),
            (Kind.AUDIOBOOK, {"chapters": [{"text": "甲。"}, {"title": "二", "text": " ***\n"}]}, "chapters"),
            (Kind.AUDIOBOOK, {"pauses": {"word": 1}}, "pauses"),
            (Kind.AUDIOBOOK, {"pauses": {"chapter": 10_001}}, "pauses"),
        ],
    )
    def test_bad_input_is_refused_by_the_fields_name(self, kind, fields, field):
        with pytest.raises(ValidationError) as refused:
            parse_spec(kind, fields)
        assert field in {error["loc"][0] for error in refused.value.errors()}

    @pytest.mark.parametrize("speed", [0.5, 1, 2.0])
    def test_the_edges_are_allowed(self, speed):
        spec = parse_spec(
            Kind.TTS, {"text": "。\n\t", "speed": speed, "metadata": {str(i): "v" * 512 for i in range(16)}}
        )
        assert isinstance(spec, TTSSpec)

    def test_bulk_work_waits_for_the_rest_unless_it_is_told_otherwise(self):
        assert parse_spec(Kind.AUDIOBOOK, {}).priority is Priority.BULK
        assert parse_spec(Kind.TTS, {"text": "a"}).priority is Priority.NORMAL
        assert parse_spec(Kind.AUDIOBOOK, {"priority": "interactive"}).priority is Priority.INTERACTIVE

    @given(st.text(min_size=1, max_size=50))
    def test_any_text_without_control_characters_comes_back_as_it_was(self, text):
        if any(ord(c) < 32 and c not in "\t\n\r" for c in text):
            with pytest.raises(ValidationError):
                parse_spec(Kind.TTS, {"text": text})
        else:
            spec = parse_spec(Kind.TTS, {"text": text})
            assert TTSSpec.model_validate_json(spec.model_dump_json()).text == text

    def test_half_a_character_is_refused(self):
        with pytest.raises(ValidationError):
            parse_spec(Kind.TTS, {"text": "\ud800"})

    @pytest.mark.parametrize(
        "line",
        [
            {"custom_id": "a"},
            {"custom_id": "a", "tts": {"text": "a"}, "stt": {"url": "https://example.org/a.wav"}},
            {"custom_id": "a", "stt": {}},
            {"custom_id": "", "tts": {"text": "a"}},
            {"tts": {"text": "a"}},
        ],
    )
    def test_a_batch_line_has_one_task_and_a_name(self, line):
        with pytest.raises(ValidationError):
            BatchLine.model_validate(line)

    def test_every_kind_has_one(self):
        assert set(SPECS) == set(Kind)

    def test_every_field_of_a_client_is_described_by_its_name_or_a_docstring(self):
        bare = {"text", "title", "author", "custom_id", "tts", "stt", "chapters", "url", "priority", "task"}
        for spec in SPECS.values():
            if spec.__name__ == "ChapterSpec":
                continue  # internal
            for name, field in spec.model_fields.items():
                assert field.description or name in bare, (spec.__name__, name)


class TestSettings:
    def test_every_field_says_what_it_does(self):
        for name, field in Settings.model_fields.items():
            assert field.description, name
            assert len(field.description) > 10, name

    def test_the_table_has_a_row_for_each(self):
        rows = table().splitlines()
        assert len(rows) == len(Settings.model_fields) + 2
        assert all(row.count("|") == 4 or "\\|" in row for row in rows)
        for name in Settings.model_fields:
            assert f"| `VOXQUEUE_{name.upper()}` |" in table()

    def test_variables_are_read(self, monkeypatch):
        monkeypatch.setenv("VOXQUEUE_LEASE_SECONDS", "3.5")
        assert Settings().lease_seconds == 3.5

    @pytest.mark.parametrize(("name", "value"), [("port", "70000"), ("lease_seconds", "0"), ("device", "gpu")])
    def test_bad_values_are_refused(self, monkeypatch, name, value):
        monkeypatch.setenv(f"VOXQUEUE_{name.upper()}", value)
        with pytest.raises(ValidationError, match=name):
            Settings()

    def test_they_do_not_change(self):
        with pytest.raises(ValidationError):
            Settings().port = 1


class TestIds:
    def test_they_sort_by_time(self):
        first = new_id()
        time.sleep(0.002)
        assert first < new_id()

    def test_they_are_many(self):
        assert len({new_id() for _ in range(10_000)}) == 10_000

    def test_form(self):
        parent = new_id()
        assert is_id(parent)
        assert is_id(child_id(parent, 0))
        assert child_id(parent, 7) == f"{parent}.00007"
        assert is_id(child_id(parent, 123_456))

    @given(st.text(max_size=40))
    def test_nothing_else_is_one(self, text):
        if is_id(text):
            assert re.fullmatch(r"[0-9a-z]{26}(\.[0-9]{1,6})?", text, re.ASCII)

    @pytest.mark.parametrize("text", ["", "..", "../" * 9, "a" * 25, "a" * 27, f"{'a' * 26}\n", f"{'a' * 26}.x"])
    def test_bad_ones(self, text):
        assert not is_id(text)


class TestStates:
    def test_ends(self):
        assert {status for status in Status if status.is_terminal} == TERMINAL
        back, lost = {Status.QUEUED, Status.RUNNING}, {Status.FAILED}
        assert all(MOVES[status] <= back | (lost if status is Status.SUCCEEDED else set()) for status in TERMINAL)

    def test_the_ledger_itself_refuses_an_illegal_move(self, desk, redis):
        """The script has the same table: a record that says what cannot be is not moved on."""
        claim = desk.start()
        desk.succeed(claim)
        redis.hset(f"vq:job:{claim.id}", mapping={"status": "queued", "alone_now": "1", "deaths_alone": "5"})
        redis.zadd("vq:leases", {claim.id: 1})
        assert "cannot go from queued to failed" in desk.ledger.recover().broken[claim.id]


class TestRegistry:
    def test_workers_come_and_go(self, redis):
        registry = Registry(redis)
        assert registry.workers() == []
        registry.publish_worker("b", {"name": "b", "jobs": 1})
        registry.publish_worker("a", {"name": "a", "jobs": 2})
        registry.publish_worker("b", {"name": "b", "jobs": 3})
        assert registry.workers() == [{"name": "a", "jobs": 2}, {"name": "b", "jobs": 3}]
        registry.withdraw_worker("a")
        assert [one["name"] for one in registry.workers()] == ["b"]
        assert redis.keys("vq:worker:*") == ["vq:worker:b"]

    def test_a_silent_worker_fades(self, redis):
        registry = Registry(redis)
        registry.publish_worker("a", {"name": "a"})
        assert 0 < redis.ttl("vq:worker:a") <= 20
        redis.delete("vq:worker:a")  # its time is over
        assert registry.workers() == []

    def test_a_host_whose_clock_is_days_ahead_takes_nobody_for_gone(self, redis, monkeypatch):
        registry = Registry(redis)
        registry.publish_worker("a", {"name": "a"})
        registry.enter_process("a#1")
        ahead = time.time() + 3 * 24 * 3600
        monkeypatch.setattr("time.time", lambda: ahead)
        registry.publish_worker("b", {"name": "b"})
        registry.enter_process("b#1")
        assert [one["name"] for one in registry.workers()] == ["a", "b"]
        assert registry.processes() == {"a#1", "b#1"}

    def test_catalogues_outlive_their_workers(self, redis):
        registry = Registry(redis)
        registry.publish("voices", {"demo": {"speakers": ["F7"]}, "甲": {}})
        registry.publish("voices", {"demo": {"speakers": ["F7", "F8"]}})
        registry.publish("voices", {})
        assert registry.catalogue("voices") == {"demo": {"speakers": ["F7", "F8"]}, "甲": {}}
        assert registry.catalogue("models") == {}
        registry.forget("voices", ["demo"])
        registry.forget("voices", [])
        assert list(registry.catalogue("voices")) == ["甲"]


def test_the_room_imports_no_other():
    for path in JOBS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"app", "workers", "speech", "torch"}, path
