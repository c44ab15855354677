"""Keys: who comes in, and whose jobs are seen."""

import io

import pytest

from app.keys import Key, Keyring, KeysError, create_key
from tests.app.problems import assert_problem


@pytest.fixture
def secrets():
    """Secrets and key lines of two users and an admin."""
    made = {owner: create_key(owner, "admin" if owner == "root" else "user") for owner in ("anna", "ben", "root")}
    return {owner: secret for owner, (secret, _) in made.items()}, ",".join(str(key) for _, key in made.values())


@pytest.fixture
def keyed(app_of, secrets):
    return app_of(api_keys=secrets[1], host="0.0.0.0")


@pytest.fixture
def as_owner(keyed, secrets):
    """A client that sends an owner's key."""

    def make(owner):
        client = keyed.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secrets[0][owner]}"
        return client

    return make


PROTECTED = [
    ("post", "/v1/tts"),
    ("post", "/v1/stt"),
    ("get", "/v1/jobs"),
    ("get", "/v1/jobs/x"),
    ("delete", "/v1/jobs/x"),
    ("get", "/v1/jobs/x/events"),
    ("get", "/v1/jobs/x/files/a"),
    ("post", "/v1/jobs/x/cancel"),
    ("post", "/v1/jobs/x/retry"),
    ("get", "/v1/voices"),
    ("get", "/v1/workers"),
    ("get", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic eDp5", "Bearer", "Bearer ü"])
def test_without_a_right_key_nothing_is_answered(keyed, method, path, header):
    headers = {"Authorization": header} if header else {}
    answer = getattr(keyed.test_client(), method)(path, headers=headers)
    assert_problem(answer, 401, "key_needed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json", "/static/docs.css"])
def test_health_and_documentation_are_open(keyed, path):
    assert keyed.test_client().get(path).status_code == 200


def test_an_unprotected_route_must_say_so(keyed):
    """Every route of the application refuses without a key, unless its view is marked or it is a static file."""
    client = keyed.test_client()
    for rule in keyed.url_map.iter_rules():
        view = keyed.view_functions[rule.endpoint]
        if getattr(view, "open_to_all", False) or rule.endpoint == "static":
            continue
        path = rule.rule.replace("<job_id>", "x").replace("<path:name>", "x")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert client.open(path, method=method).status_code == 401, (method, path)


def test_a_key_sees_its_own_jobs_only(as_owner, secrets):
    anna, ben, root = as_owner("anna"), as_owner("ben"), as_owner("root")
    job_id = anna.post("/v1/tts", json={"text": "你好。"}).json["id"]
    assert anna.get(f"/v1/jobs/{job_id}").status_code == 200
    for path in ("", "/events", "/files/a.wav"):
        assert_problem(ben.get(f"/v1/jobs/{job_id}{path}"), 404)
    for action in ("cancel", "retry"):
        assert_problem(ben.post(f"/v1/jobs/{job_id}/{action}"), 404)
    assert_problem(ben.delete(f"/v1/jobs/{job_id}"), 404)
    assert ben.get("/v1/jobs").json["data"] == []
    assert_problem(ben.get(f"/v1/jobs?after={job_id}"), 422, field="after")
    assert_problem(ben.get(f"/v1/jobs?parent={job_id}"), 404)
    assert [job["id"] for job in root.get("/v1/jobs").json["data"]] == [job_id]
    assert root.post(f"/v1/jobs/{job_id}/cancel").status_code == 200


def test_idempotency_keys_of_two_owners_are_two(as_owner):
    ids = {
        as_owner(owner).post("/v1/tts", json={"text": "a"}, headers={"Idempotency-Key": "k"}).json["id"]
        for owner in ("anna", "ben")
    }
    assert len(ids) == 2


def test_metrics_are_for_admins(as_owner):
    assert_problem(as_owner("anna").get("/metrics"), 403, "admin_only")
    assert as_owner("root").get("/metrics").status_code == 200


def test_a_session_stands_for_its_key_until_it_ends(keyed, secrets):
    client = keyed.test_client()
    assert_problem(client.post("/v1/session", json={"key": "wrong"}), 401, "key_unknown")
    answer = client.post("/v1/session", json={"key": secrets[0]["anna"]})
    assert answer.status_code == 204
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert secrets[0]["anna"] not in cookie
    assert client.post("/v1/tts", json={"text": "a"}).status_code == 202
    assert len(client.get("/v1/jobs").json["data"]) == 1
    other_site = {"Sec-Fetch-Site": "cross-site"}
    assert_problem(client.post("/v1/tts", json={"text": "a"}, headers=other_site), 403, "cross_site")
    stolen = client.get_cookie("voxqueue_session").value
    assert client.delete("/v1/session").status_code == 204
    again = keyed.test_client()
    again.set_cookie("voxqueue_session", stolen)
    assert_problem(again.get("/v1/jobs"), 401)


def test_a_session_ends_with_its_key(keyed, app_of, secrets):
    client = keyed.test_client()
    client.post("/v1/session", json={"key": secrets[0]["anna"]})
    token = client.get_cookie("voxqueue_session").value
    _, other = create_key("carl")
    later = app_of(api_keys=str(other)).test_client()
    later.set_cookie("voxqueue_session", token)
    assert_problem(later.get("/v1/jobs"), 401)


def test_no_secret_is_kept_in_redis(keyed, secrets, redis):
    client = keyed.test_client()
    client.post("/v1/session", json={"key": secrets[0]["anna"]})
    token = client.get_cookie("voxqueue_session").value
    everything = " ".join([*redis.keys(), *(str(redis.dump(key)) for key in redis.keys())])  # noqa: SIM118
    assert token not in everything
    assert secrets[0]["anna"] not in everything


def test_without_keys_only_this_machine_is_answered(app_of):
    with pytest.raises(KeysError, match="VOXQUEUE_API_KEYS"):
        app_of(host="0.0.0.0")
    client = app_of().test_client()
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200, host
    for host in ("rebound.example", "192.168.1.5:8000", "localhost.evil.example"):
        assert_problem(client.get("/v1/jobs", headers={"Host": host}), 403, "loopback_only")
    cross = {"Sec-Fetch-Site": "cross-site"}
    form = {"file": (io.BytesIO(b"RIFF"), "a.wav")}
    assert_problem(client.post("/v1/stt", data=form, headers=cross), 403, "cross_site")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin ", "odd"])
def test_no_other_page_changes_anything_though_it_shares_the_domain_or_the_machine(app_of, secrets, site):
    """`same-site` is a page of a sibling domain, or of another port of localhost; cookies go with it."""
    headers = {"Sec-Fetch-Site": site}
    for keys in ("", secrets[1]):
        client = app_of(api_keys=keys).test_client()
        client.post("/v1/session", json={"key": secrets[0]["anna"]})
        assert_problem(client.post("/v1/batches", data="x", headers=headers), 403, "cross_site")
        assert_problem(client.delete("/v1/session", headers=headers), 403, "cross_site")
        for own in ("same-origin", "none"):
            assert client.post("/v1/tts", json={"text": "a"}, headers={"Sec-Fetch-Site": own}).status_code == 202
        assert client.get("/v1/jobs", headers=headers).status_code == 200, "nobody else's page can read the answer"


def test_without_keys_any_bearer_is_ignored(client):
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer whatever"}).status_code == 200


@pytest.mark.parametrize(
    "setting", ["anna", "anna:123:user", "an*na:" + "0" * 64 + ":user", "anna:" + "0" * 64 + ":king", "/no/such/file"]
)
def test_wrong_keys_stop_the_start(setting):
    with pytest.raises(KeysError, match="VOXQUEUE_API_KEYS"):
        Keyring.read(setting)


def test_keys_are_read_from_a_file(tmp_path):
    secret, key = create_key("anna")
    file = tmp_path / "keys"
    file.write_text(f"# who\n\n{key}\n")
    assert Keyring.read(str(file)).find(secret) == key
    assert Keyring.read(str(file)).find(secret + "x") is None


def test_answers_carry_security_headers(client):
    for path in ("/docs", "/v1/jobs", "/nope"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"


class TestLimitsOfKeys:
    def test_a_key_keeps_its_limits_as_text(self):
        _, key = create_key("ann", limits={"jobs": 5, "seconds": 3600})
        assert str(key).endswith(":user:jobs=5;seconds=3600")
        assert Key.parse(str(key)) == key
        assert key.limits == {"queued": 5, "seconds": 3600}
        assert Key.parse(f"ann:{'0' * 64}").limits == {}

    @pytest.mark.parametrize(
        "limits", ["jobs", "jobs=", "jobs=-1", "jobs=1,seconds=2", "pages=3", "jobs=1:x", ";jobs=1"]
    )
    def test_limits_that_cannot_be_read_are_refused(self, limits):
        with pytest.raises(KeysError, match="jobs=N;characters=N;seconds=N"):
            Key.parse(f"ann:{'0' * 64}:user:{limits}")

    def test_each_key_has_its_own_and_the_settings_hold_for_the_others(self, app_of):
        small, one = create_key("small", limits={"characters": 10})
        large, two = create_key("large", limits={"characters": 0})
        usual, three = create_key("usual")
        client = app_of(api_keys=f"{one},{two},{three}", max_waiting_characters_per_owner=20).test_client()

        def submit(secret, characters):
            headers = {"Authorization": f"Bearer {secret}"}
            return client.post("/v1/tts", json={"text": "你" * characters}, headers=headers)

        for secret, fits, more in ((small, 10, 429), (usual, 20, 429), (large, 100, 202)):
            assert submit(secret, fits).status_code == 202
            answer = submit(secret, 1)
            assert answer.status_code == more
            if more == 429:
                assert_problem(answer, 429, code="queue_full")
                assert int(answer.headers["Retry-After"]) > 0
