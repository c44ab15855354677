"""Requests as no client writes them, over real sockets; and what browsers are told about every answer."""

import json
import re
import socket

import pytest

from app.codes import CODES
from app.headers import SECURITY
from tests.conftest import PATIENCE

HOST = b"Host: localhost"


@pytest.fixture
def say(server, redis):
    """Send bytes and give the status, the head and the body of the first answer."""

    def send(request):
        with socket.create_connection(("127.0.0.1", server), PATIENCE) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head, body

    return send


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([HOST, b"X: " + b"y" * 9000], 431),
        ([HOST, *(b"X%d: y" % number for number in range(100))], 431),
        ([HOST, b"Content-Length: 5, 6"], 400),
        ([HOST, b"Content-Length: -1"], 400),
        ([HOST, b"Content-Length: 5", b"Content-Length: 6"], 400),
        ([HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"], 400),
        ([HOST, b"Bad Header: x"], 400),
        ([HOST, b"X : y"], 400),
        ([HOST, b" folded: x"], 400),
        ([b"Host: localhost\0"], 400),
        ([b"Host: " + b"a" * 300], 400),
        ([b"Host: [::1"], 403),
        ([b"Host: evil.example"], 403),
        ([b"Host: 127.0.0.1@evil.example"], 403),
        ([b"Host: localhost, evil.example"], 403),
        ([b"Host: \xff\xfe"], 403),
        ([HOST, b"Authorization: Bearer \xff\xfe", b"Cookie: voxqueue_session=\xff", b"Last-Event-ID: \xff"], 200),
    ],
)
def test_odd_headers_are_refused_or_harmless(say, headers, status):
    found, head, body = say(b"\r\n".join([b"GET /v1/jobs HTTP/1.1", *headers, b"Connection: close", b"", b""]))
    assert found == status
    assert b"Traceback" not in body
    if status >= 400:
        assert_plain_problem(head, body, status)


def assert_plain_problem(head, body, status):
    assert b"\r\nContent-Type: application/problem+json\r\n" in head + b"\r\n"
    problem = json.loads(body)
    assert (problem["status"], problem["type"]) == (status, f"/docs#problem-{problem['code']}")
    assert status in CODES[problem["code"]][0]
    assert problem["detail"]


@pytest.mark.parametrize(
    ("request_line", "status", "code", "named"),
    [
        (b"GET /v1/jobs?after=" + b"a" * 9000 + b" HTTP/1.1", 414, "uri_too_long", "8190"),
        (b"GET /v1/jobs HTTP/9.9", 400, "bad_request", "Version"),
        (b"G<script>T /v1/jobs HTTP/1.1", 400, "bad_request", "Method"),
        (b"nonsense", 400, "bad_request", "nonsense"),
    ],
)
def test_what_is_no_request_is_a_problem_too(say, request_line, status, code, named):
    """The web server refuses these before the application sees them."""
    found, head, body = say(request_line + b"\r\nHost: localhost\r\n\r\n")
    assert found == status
    assert_plain_problem(head, body, status)
    problem = json.loads(body)
    assert (problem["code"], named in problem["detail"]) == (code, True), problem
    assert b"X-Content-Type-Options: nosniff" in head


def test_a_request_hidden_in_anothers_body_is_not_answered(say):
    hidden = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    smuggling = (
        b"POST /v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    status, head, body = say(smuggling % (len(hidden) + 5) + hidden)
    assert status == 400
    assert (head + body).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "path",
    [
        b"/static/..%2f..%2fkeys.py",
        b"/static/../keys.py",
        b"/static/%2e%2e/keys.py",
        b"/static/..\\keys.py",
        b"/static/%5c..%5ckeys.py",
        b"/static/page/../../keys.py",
        b"/v1/jobs/../../etc/passwd",
        b"/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/v1/jobs/%00",
        b"/v1/jobs/%ff%fe",
        b"/v1/jobs/x/files/%0d%0aX-Injected:y",
        b"/v1/jobs/" + b"a" * 8000,
    ],
)
def test_odd_paths_lead_nowhere(say, path):
    status, head, body = say(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status == 404
    assert b"X-Injected" not in head
    assert b"import" not in body


def policies(headers):
    return dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/static/docs.css", "/healthz", "/v1/jobs", "/v1/jobs/none", "/nope"]
)
def test_every_answer_tells_browsers_to_do_no_more_than_is_meant(client, path):
    headers = client.get(path).headers
    assert {name: headers[name] for name in SECURITY} == SECURITY
    found = policies(headers)
    assert found["default-src"] == "'none'"
    assert found["script-src"] == "'self'"
    assert found["style-src"] == "'self'"
    assert found["frame-ancestors"] == "'none'"
    assert not re.search(r"unsafe|\*|https?:", headers["Content-Security-Policy"])
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_hold_no_script_and_no_style_of_their_own(client, path):
    """What the policy would keep from working, and nothing from another site."""
    page = client.get(path).text
    assert not re.search(r"<style|<script(?![^>]*\ssrc=)|\son[a-z]+=|\sstyle=|javascript:", page)
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page)
