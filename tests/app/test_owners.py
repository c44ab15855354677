"""One owner's key on another's jobs: every operation with an ID answers as if there were no such job."""

import itertools

import pytest

from app.keys import create_key
from app.routes.pages import document
from bench.fuzz_cast import HOOK, SECRET_WORD, Cast
from jobs.ids import new_id
from jobs.states import Kind, Status
from tests.app.problems import assert_problem

WITH_ID = [
    (method, path)
    for path, methods in document()["paths"].items()
    for method in methods
    if "{id}" in path
]  # fmt: skip
ELSEWHERE = [("get", "/v1/jobs?parent={id}"), ("get", "/v1/jobs?after={id}"), ("get", "/v1/jobs/{id}?wait=1")]


@pytest.fixture
def made():
    return {owner: create_key(owner, "admin" if owner == "root" else "user") for owner in ("anna", "ben", "root")}


@pytest.fixture
def as_owner(app_of, made):
    keyed = app_of(api_keys=",".join(str(key) for _, key in made.values()))

    def make(owner):
        client = keyed.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made[owner][0]}"
        return client

    return make


@pytest.fixture
def roles(services):
    """Anna's jobs: each kind in each state."""
    return Cast(services.redis, services.store, "anna").everyone()


def seen(client, role):
    """Return what an admin sees of a job, without what passes by itself."""
    job = client.get(f"/v1/jobs/{role.id}").json
    return {name: value for name, value in job.items() if name != "metrics"}


def test_the_operations_with_an_id_are_found():
    assert len(WITH_ID) >= 10
    assert ("get", "/v1/jobs/{id}/inputs/{name}") in WITH_ID


def test_another_owners_job_is_in_no_operation_told_from_one_that_is_not_there(as_owner, roles):
    ben, root, none = as_owner("ben"), as_owner("root"), new_id()
    before = [seen(root, role) for role in roles]
    for (method, path), role in itertools.product([*WITH_ID, *ELSEWHERE], roles):
        for job_id, name in itertools.product([role.id, *role.children], [*role.files, *role.inputs, "x"][:2]):
            answer = ben.open(path.format(id=job_id, name=name), method=method)
            asked = (method, path, role.kind, role.status)
            assert answer.status_code == (422 if "after=" in path else 404), asked
            assert SECRET_WORD not in answer.text, asked
            assert HOOK not in answer.text, asked
            nothing = ben.open(path.format(id=none, name=name), method=method)
            assert answer.text.replace(job_id, none) == nothing.text, asked
            assert "{name}" in path or name != "x" or answer.text.count(job_id) <= 1
    assert [seen(root, role) for role in roles] == before, "and nothing was done to it"


def test_lists_hold_ones_own_jobs_only(as_owner, roles):
    ben, anna, root = as_owner("ben"), as_owner("anna"), as_owner("root")
    queries = ["", *(f"?kind={kind}" for kind in Kind), *(f"?status={status}" for status in Status)]
    queries += [f"?kind={kind}&status={status}" for kind, status in itertools.product(Kind, Status)]
    for query in queries:
        assert ben.get(f"/v1/jobs{query}").json == {"data": [], "has_more": False, "next": None}, query
    whole = {job["id"] for job in anna.get("/v1/jobs?limit=200").json["data"]}
    assert {role.id for role in roles if role.kind is not Kind.CHAPTER} <= whole
    assert whole == {job["id"] for job in root.get("/v1/jobs?limit=200").json["data"]}


def test_ones_own_job_of_the_same_key_and_request_is_another(as_owner):
    headers = {"Idempotency-Key": "k"}
    first = as_owner("anna").post("/v1/tts", json={"text": "a", "metadata": {"m": SECRET_WORD}}, headers=headers)
    other = as_owner("ben").post("/v1/tts", json={"text": "b"}, headers=headers)
    assert (first.status_code, other.status_code) == (202, 202), "no conflict tells that the key was used"
    assert first.json["id"] != other.json["id"]
    assert SECRET_WORD not in other.text


def test_a_child_of_anothers_job_cannot_be_made_or_asked_for_by_its_number(as_owner, roles):
    ben = as_owner("ben")
    for role in roles:
        for job_id in (f"{role.id}.00000", f"{role.id}.00001", f"{role.id}.plan", f"{role.id}.assemble"):
            assert_problem(ben.get(f"/v1/jobs/{job_id}"), 404, "job_not_found")


def test_what_concerns_all_owners_needs_the_role_admin(as_owner):
    for client, statuses in ((as_owner("ben"), {403}), (as_owner("root"), {200})):
        found = {path: client.get(path).status_code for path in ("/metrics", "/v1/holds", "/v1/webhook-secret")}
        assert set(found.values()) == statuses, found
        hold = client.post("/v1/holds", json={"what": "owner:anna"})
        assert {hold.status_code} == statuses
    assert_problem(as_owner("ben").delete("/v1/holds", json={"what": "owner:anna"}), 403, "admin_only")
