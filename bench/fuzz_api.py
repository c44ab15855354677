"""schemathesis over the OpenAPI document against the real web process: wrong and right requests of every operation.

The web process is the deployed one (gunicorn, this project's configuration) with keys, a real Valkey and a folder; no
worker runs, but for a hand that does what OpenAI's routes wait for. The ledger has a job of each kind in each state,
and most IDs of the requests are theirs. Callers are the jobs' owner, an admin, another owner, a stranger and nobody.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.headers import SECURITY
from app.keys import create_key
from app.problems import MEDIA_TYPE
from bench.fuzz_cast import SECRET_WORD, Cast, Hand, Role, sound
from bench.servers import gunicorn, valkey
from jobs.connect import connect
from jobs.registry import Registry
from jobs.remote_files import store_of
from jobs.settings import Settings
from jobs.states import Kind

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OWNER, ADMIN, OTHER = "anna", "root", "ben"
CALLERS = [OWNER] * 8 + [ADMIN] * 3 + [OTHER, "stranger", "nobody"]
FOR_ADMINS = {"hold", "resume", "listHolds", "getMetrics", "getWebhookSecret"}
CHANGING = {"deleteJob", "cancelJob", "retryJob", "callWebhookAgain"}
"""They get a job of their own: the others must find theirs as they were made."""
ENDLESS = {"streamSound", "watchJob"}
"""Before a job's end they do not end either; tests/app/test_server.py and test_stream.py hear them out."""
BODY_IS_OPTIONAL = {"beginSession"}
"""Whose body is not read when a header says it all."""
KNOWN_MODELS = {"createSpeech": "tts-1", "createTranscription": "whisper-1", "createTranslation": "whisper-1"}
BY_GUNICORN = {414, 431}
"""A line or a header over its limits: refused before the application sees it, as docs/api.md says, with a problem.
The document does not list them with every operation."""
LONGEST_WAIT = 0.05
PATIENCE = 20.0
FILES = [
    sound(40),
    b"ID3\4\0\0\0\0\0\0",
    b"fLaC\0\0\0\x22",
    b"PK\3\4" + bytes(60),
    b"\x89PNG\r\n\x1a\n",
    "# 第一章\n你好。".encode(),
    b'{"custom_id": "1", "tts": {"text": "a"}}\n',
    b"",
]
LINES = [
    b'{"custom_id": "1", "tts": {"text": "\xe4\xbd\xa0"}}',
    b'{"custom_id": "2", "stt": {"url": "https://example.com/a.wav"}}',
    b'{"custom_id": "3", "tts": {"text": "", "speed": 9}}',
    b"null",
    b"{",
    b'"\\ud800"',
    b"\xff",
]


@dataclass
class Tally:
    """What came of one operation's cases."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    hits: int = 0
    """With the ID of a job that is there."""
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By what is wrong: how often, and the first case's story."""

    def fail(self, title: str, story: str) -> None:
        count, first = self.failures.get(title, (0, story))
        self.failures[title] = (count + 1, first)


@dataclass
class World:
    """The server, its jobs and its keys."""

    url: str
    cast: Cast
    secrets: dict[str, str]
    roles: list[Role]
    session: requests.Session = field(default_factory=requests.Session)

    def authorization(self, caller: str) -> dict[str, str]:
        return {} if caller == "nobody" else {"Authorization": f"Bearer {self.secrets.get(caller, 'vq_wrong')}"}


@contextlib.contextmanager
def world() -> Iterator[World]:
    made = {name: create_key(name, "admin" if name == ADMIN else "user") for name in (OWNER, ADMIN, OTHER)}
    with valkey() as redis_url, tempfile.TemporaryDirectory() as folder:
        environment = {
            "VOXQUEUE_REDIS_URL": redis_url,
            "VOXQUEUE_DATA_DIR": folder,
            "VOXQUEUE_API_KEYS": ",".join(str(key) for _, key in made.values()),
            "VOXQUEUE_MAX_UPLOAD_BYTES": "200000",
            "VOXQUEUE_MAX_CHILDREN": "50",
        }
        with gunicorn("app:create_app()", environment) as url:
            redis = connect(redis_url)
            voice = {"emotions": ["neutral"], "default": True, "sample_rate": 16000}
            Registry(redis).publish("voices", {"demo": voice})
            store = store_of(Settings(data_dir=Path(folder), redis_url=redis_url))
            cast = Cast(redis, store, OWNER)
            hand = Hand(cast)
            hand.start()
            try:
                yield World(url, cast, {name: secret for name, (secret, _) in made.items()}, cast.everyone())
            finally:
                hand.stop()


def fuzz(found: World, cases: int, number: int, only: str = "") -> dict[str, Tally]:
    """Send `cases` requests, shared among all operations, half of them made to be wrong; give a tally for each."""
    schemathesis.openapi.format("binary", st.sampled_from(FILES) | st.binary(max_size=200))
    schemathesis.openapi.media_type("application/jsonl", st.lists(st.sampled_from(LINES), max_size=8).map(b"\n".join))
    document = requests.get(f"{found.url}/openapi.json", timeout=PATIENCE).json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [one.ok() for one in schema.get_all_operations()]
    wanted = [one for one in operations if only in one.definition.raw["operationId"]]
    tallies = {}
    for index, operation in enumerate(wanted):
        share = cases // len(wanted) + (index < cases % len(wanted))
        tallies[operation.definition.raw["operationId"]] = _fuzz_one(found, operation, share, number)
    return tallies


def _fuzz_one(found: World, operation: Any, cases: int, number: int) -> Tally:
    tally, name = Tally(), operation.definition.raw["operationId"]
    modes = [schemathesis.GenerationMode.POSITIVE]
    if list(operation.iter_parameters()) or operation.body:
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    round_number = number
    while modes and tally.cases < cases:  # hypothesis may run out of new examples before the share is done
        for mode in list(modes):
            examples = max(1, min(cases - tally.cases, -(-cases // 2)))
            try:
                _run(found, operation, mode, examples, round_number, name, tally)
            except Unsatisfiable:  # nothing can be wrong about a request whose only field is any text
                modes.remove(mode)
            except ValueError as error:  # schemathesis at its own bytes, once in ten thousand wrong forms; go on
                if "Unsupported type" not in str(error):
                    raise
        round_number += 1
    return tally


def _run(found: World, operation: Any, mode: Any, examples: int, number: int, name: str, tally: Tally) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.data())
    def send(case: Any, data: Any) -> None:
        caller = data.draw(st.sampled_from(CALLERS + [ADMIN] * 20 if name in FOR_ADMINS else CALLERS))
        role = _aim(found, case, name, data.draw, right=mode is schemathesis.GenerationMode.POSITIVE)
        _send(found, case, caller, role, name, tally)

    send()


def _aim(found: World, case: Any, name: str, draw: Callable[[Any], Any], *, right: bool) -> Role | None:
    """Give most cases with an ID the ID of a job, and shorten waits; return the job."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, (int, float)) and 0 < wait <= 60:
        case.query["wait"] = min(wait, LONGEST_WAIT)
    if right and isinstance(case.body, dict) and name in KNOWN_MODELS and draw(st.booleans()):
        case.body["model"] = KNOWN_MODELS[name]
    if not case.path_parameters or "id" not in case.path_parameters or draw(st.integers(0, 3)) == 0:
        return None
    with_files = [one for one in found.roles if {"getFile": one.files, "getInput": one.inputs}.get(name, True)]
    role = draw(st.sampled_from(with_files))
    if name in CHANGING:
        role = found.cast.make(role.kind, role.status)
    elif name in ENDLESS and not role.status.is_terminal:
        role = draw(st.sampled_from([one for one in found.roles if one.status.is_terminal]))
    case.path_parameters["id"] = draw(st.sampled_from([role.id, *role.children]))
    names = {"getFile": role.files, "getInput": role.inputs}.get(name)
    if names and draw(st.booleans()):
        case.path_parameters["id"], case.path_parameters["name"] = role.id, draw(st.sampled_from(names))
    if name == "streamSound" and role.kind in {Kind.AUDIOBOOK, Kind.BATCH, Kind.TRANSCRIPTS}:
        case.path_parameters["id"] = role.id
    return role


def _send(found: World, case: Any, caller: str, role: Role | None, name: str, tally: Tally) -> None:
    try:
        answer = case.call(
            base_url=found.url, session=found.session, headers=found.authorization(caller), timeout=PATIENCE
        )
    except (requests.exceptions.InvalidHeader, ValueError):
        return  # no client could send it: a line's end in a header, bytes in JSON
    except requests.RequestException as error:
        tally.cases += 1
        tally.fail(type(error).__name__, f"{case.as_curl_command()[:1500]}\n{error}")
        return
    finally:
        if name == "hold":
            found.cast.redis.delete("vq:held")
    tally.cases += 1
    tally.hits += role is not None
    tally.statuses[answer.status_code] += 1
    story = f"{caller}, job {role}\n{case.as_curl_command()[:1500]}\n{answer.status_code} {answer.content[:500]!r}"
    for wrong in _ours(answer, caller, role):
        tally.fail(wrong, story)
    if answer.status_code in BY_GUNICORN:
        if MEDIA_TYPE not in {value[0] for value in answer.headers.values()}:
            tally.fail("no problem of the web server's own", story)
        return
    checks = [check for check in CHECKS if check is not negative_data_rejection or _is_wrong(case, name)]
    try:
        case.validate_response(answer, checks=checks)
    except* Failure as group:
        for failure in group.exceptions:
            tally.fail(getattr(failure, "title", type(failure).__name__), f"{failure}\n{story}")


def _is_wrong(case: Any, name: str) -> bool:
    """Whether a case that was made to be wrong is wrong by our rules, too."""
    is_form = case.media_type == "multipart/form-data"  # where every value is a text, and an empty one counts as absent
    values = [one for value in (case.query or {}).values() for one in (value if isinstance(value, list) else [value])]
    has_empty = len(values) < len(case.query or {}) or any(value in ("", {}) for value in values)
    return not is_form and name not in BODY_IS_OPTIONAL and not has_empty


def _ours(answer: Any, caller: str, role: Role | None) -> Iterator[str]:
    """Yield what is wrong beyond the document."""
    headers = {name.lower(): value[0] for name, value in answer.headers.items()}
    if missing := [one for one in SECURITY if one.lower() not in headers]:
        yield f"no {', '.join(missing)}"
    if answer.status_code >= 500 and answer.status_code != 503:
        yield "a server error"
    if answer.status_code >= 400 and b"Traceback" in answer.content:
        yield "a stack trace"
    if role is not None and caller not in {OWNER, ADMIN}:
        if answer.status_code < 400:
            yield f"{caller} got {answer.status_code} for {OWNER}'s job"
        if SECRET_WORD.encode() in answer.content:
            yield f"{caller} read {OWNER}'s words"


def table(tallies: dict[str, Tally]) -> str:
    lines = ["| operation | cases | of them with a job's ID | statuses | failures |", "| --- | --- | --- | --- | --- |"]
    for name, tally in tallies.items():
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items()))
        wrong = sum(count for count, _ in tally.failures.values())
        lines.append(f"| {name} | {tally.cases} | {tally.hits} | {statuses} | {wrong} |")
    cases, hits = sum(t.cases for t in tallies.values()), sum(t.hits for t in tallies.values())
    errors = sum(count for t in tallies.values() for status, count in t.statuses.items() if status == 500)
    wrong = sum(count for t in tallies.values() for count, _ in t.failures.values())
    lines.append(f"| **all** | **{cases}** | **{hits}** | 500: {errors} | **{wrong}** |")
    return "\n".join(lines)


def stories(tallies: dict[str, Tally]) -> str:
    """Return the first case of each kind of failure."""
    return "\n".join(
        f"\n--- {name}: {title} ({count} times)\n{story}"
        for name, tally in tallies.items()
        for title, (count, story) in tally.failures.items()
    )
