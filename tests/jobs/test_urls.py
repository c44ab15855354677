"""URLs of clients: private networks are out of reach, at the door and when they are opened."""

import contextlib
import gzip
import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import urls
from jobs.settings import Settings
from jobs.urls import BlockedUrl, FetchError, check_url, fetch, is_public, parse_networks

LOOPBACK = "127.0.0.0/8"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "http://127.1/a",
        "http://2130706433/a",
        "http://0x7f000001/a",
        "http://0177.0.0.1/a",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://172.16.5.5/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fd00::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fec0::1]/",
        "http://[::127.0.0.1]/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://127。0。0。1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://ⓛocalhost/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://redis:6379/",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://a.localhost/",
        "ftp://example.com/a",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/a",
        "http:///a",
        "http://user@example.com/",
        "http://:pass@example.com/",
        "http://example.com:99999/",
        "http://[::1/",
        "",
    ],
)
def test_private_and_odd_addresses_are_blocked(url):
    with pytest.raises(BlockedUrl):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.com/a.wav?x=1#y", "http://8.8.8.8/", "http://[2606:4700::1111]/", "http://例子.测试/"]
)
def test_public_addresses_pass(url):
    check_url(url)


def test_an_operator_opens_networks():
    check_url("http://10.1.2.3/a", "10.1.0.0/16")
    check_url("http://minio:9000/a", "172.16.0.0/12")  # what the name is, is seen when it is resolved
    with pytest.raises(BlockedUrl):
        check_url("http://10.2.0.1/a", "10.1.0.0/16")
    with pytest.raises(ValueError, match="VOXQUEUE_ALLOWED_NETWORKS"):
        parse_networks("10.1.0.0/16, somewhere")


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_by_itself(address):
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    assert is_public(mapped) == is_public(address)
    if address.is_private:
        assert not is_public(address)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text):
    for url in (text, f"http://{text}/"):
        with contextlib.suppress(BlockedUrl):
            check_url(url)


class Site(BaseHTTPRequestHandler):
    """Small pages for what a server may do."""

    def do_GET(self):  # noqa: C901 - one case for each page
        self.server.seen.append((self.path, self.headers["Host"]))
        match self.path.split("?")[0]:
            case "/file":
                self.answer(200, b"RIFF" * 100)
            case "/again":
                self.answer(302, headers={"Location": "/file"})
            case "/loop":
                self.answer(302, headers={"Location": "/loop"})
            case "/to-private":
                self.answer(302, headers={"Location": "http://10.0.0.1/secret"})
            case "/to-file":
                self.answer(302, headers={"Location": "file:///etc/passwd"})
            case "/squeezed":
                self.answer(200, gzip.compress(bytes(100_000)), {"Content-Encoding": "gzip"})
            case "/dripping-headers":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                self.drip(b"X: y\r\n")
            case "/dripping-body":
                self.send_response(200)
                self.end_headers()
                self.drip(b"x")
            case "/endless":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(10_000))
                except OSError:
                    pass
            case _:
                self.answer(404, b"no")

    do_POST = do_GET

    def drip(self, piece):
        with contextlib.suppress(OSError):
            while not self.server.over.wait(0.05):
                self.wfile.write(piece)

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.seen, server.over = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(site):
    def read(path, allowed=LOOPBACK, max_bytes=10_000, host="127.0.0.1"):
        settings = Settings(allowed_networks=allowed)
        return b"".join(fetch(f"http://{host}:{site.server_port}{path}", settings, max_bytes))

    return read


def test_a_file_is_fetched_under_its_own_name(get, site):
    assert get("/file?a=b", host="localhost", allowed="127.0.0.0/8,::1/128") == b"RIFF" * 100
    assert site.seen[-1] == ("/file?a=b", f"localhost:{site.server_port}")


def test_redirects_are_followed(get):
    assert get("/again") == b"RIFF" * 100


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/to-private", "url_blocked"),
        ("/to-file", "url_blocked"),
        ("/loop", "url_unreachable"),
        ("/missing", "url_status"),
        ("/endless", "url_too_large"),
    ],
)
def test_what_must_not_or_cannot_be_had_fails_with_a_reason(get, path, code):
    with pytest.raises(FetchError) as caught:
        get(path)
    assert caught.value.code == code


def test_a_told_length_over_the_limit_is_not_read(get):
    with pytest.raises(FetchError, match="399 bytes"):
        get("/file", max_bytes=399)


def test_nothing_is_unpacked(get):
    assert len(get("/squeezed")) < 1000


def test_a_loopback_server_is_out_of_reach_unless_opened(get):
    with pytest.raises(FetchError) as caught:
        get("/file", allowed="")
    assert caught.value.code == "url_blocked"


def test_a_public_name_with_a_private_address_is_blocked_and_never_asked(monkeypatch, site):
    def resolve(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(urls.socket, "getaddrinfo", resolve)
    before = len(site.seen)
    with pytest.raises(FetchError) as caught:
        b"".join(fetch(f"http://rebound.example.com:{site.server_port}/file", Settings(), 10_000))
    assert caught.value.code == "url_blocked"
    assert len(site.seen) == before


def test_the_checked_address_is_the_one_that_is_used(monkeypatch, site):
    """A name server that gives another address the second time is not asked a second time."""
    asked = []

    def resolve(host, port, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(urls.socket, "getaddrinfo", resolve)
    settings = Settings(allowed_networks=LOOPBACK)
    assert b"".join(fetch(f"http://name.example.com:{site.server_port}/file", settings, 10_000))
    assert [host for host in asked if host == "name.example.com"] == ["name.example.com"]
    assert site.seen[-1][1] == f"name.example.com:{site.server_port}"


def test_nobody_there_is_unreachable():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(FetchError) as caught:
        b"".join(fetch(f"http://127.0.0.1:{port}/", Settings(allowed_networks=LOOPBACK), 10))
    assert caught.value.code == "url_unreachable"


@pytest.mark.parametrize("path", ["/dripping-headers", "/dripping-body"])
def test_a_server_that_drips_is_left_when_the_time_is_over(site, path):
    """Each byte comes in time; all of them never do."""
    url = f"http://127.0.0.1:{site.server_port}{path}"
    with pytest.raises(FetchError) as caught:
        b"".join(fetch(url, Settings(allowed_networks=LOOPBACK), 10_000, max_seconds=0.5))
    assert caught.value.code == "url_too_slow"


def test_a_webhooks_receiver_that_drips_holds_its_caller_no_longer_than_it_may(site, monkeypatch):
    monkeypatch.setattr(urls, "POST_SECONDS", 0.5)
    url = f"http://127.0.0.1:{site.server_port}/dripping-headers"
    with pytest.raises(FetchError) as caught:
        urls.post(url, Settings(allowed_networks=LOOPBACK), b"{}", {})
    assert caught.value.code == "url_too_slow"


def test_a_name_beyond_ascii_is_asked_for_as_it_is_resolved(monkeypatch, site):
    asked = []

    def resolve(host, port, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(urls.socket, "getaddrinfo", resolve)
    assert b"".join(fetch(f"http://例子.example:{site.server_port}/file", Settings(allowed_networks=LOOPBACK), 10_000))
    assert asked[0] == "xn--fsqu00a.example"
    assert site.seen[-1][1] == f"xn--fsqu00a.example:{site.server_port}"


@pytest.mark.parametrize(
    "answers", [["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "::1"], ["8.8.8.8", "fd00:ec2::254"], ["::ffff:10.0.0.1"]]
)
def test_one_private_address_among_public_ones_is_enough_to_block_a_name(monkeypatch, answers):
    def resolve(_, port, *__, **___):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(urls.socket, "getaddrinfo", resolve)
    with pytest.raises(BlockedUrl):
        urls.pinned_address("mixed.example.com", 80)
