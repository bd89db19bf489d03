"""The task `http`, against real servers on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any

import pytest

from slipway.errors import InvalidArguments, ServerUnavailable, StaleWorker, StepTimeout, UnexpectedAnswer
from slipway.flows.tasks.base import Task
from slipway.flows.tasks.http import MOST_BYTES, Http, HttpResponse
from slipway.flows.tasks.waiting import WaitFor
from slipway.testing.contracts.task import IrreversibleContract
from tests.tasks.conftest import RUN, Do, respond, serving

KEY = f"{RUN.id}/http/0"


class Records:
    """A name service: a record for each `Idempotency-Key`, however often it is sent."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.command, request.path, headers, body))
        if request.command == "POST":
            self.made.setdefault(headers["idempotency-key"], body.decode())
            answer = {"id": list(self.made).index(headers["idempotency-key"])}
            respond(request, 201, json.dumps(answer).encode(), "application/json; charset=utf-8")
        else:
            respond(request, 200, b"hello")


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def url(records: Records) -> Iterator[str]:
    with serving(records) as url:
        yield url


class TestHttp(IrreversibleContract):
    @pytest.fixture
    def task(self) -> Task:
        return Http()

    @pytest.fixture
    def arguments(self, url: str) -> Mapping[str, Any]:
        return {"method": "POST", "url": f"{url}/records", "json": {"name": "web-1"}, "expect": [201]}

    @pytest.fixture
    def holdings(self, records: Records) -> Callable[[], Mapping[str, str]]:
        return lambda: dict(records.made)


def test_the_answer_is_a_record(do: Do, url: str) -> None:
    answer = do(Http(), {"url": url})
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.text, answer.json, answer.cut) == (200, "hello", None, False)
    assert answer.headers["content-type"] == "text/plain"
    posted = do(Http(), {"url": url, "method": "post", "json": {"a": [1, None]}})
    assert (posted.status, posted.text, posted.json) == (201, "", {"id": 0})


@pytest.mark.parametrize(
    ("given", "kind"), [({}, "application/json"), ({"content-type": "application/x+json"}, "application/x+json")]
)
def test_json_is_sent_as_such_by_every_version_of_the_library(
    do: Do, url: str, records: Records, given: dict[str, str], kind: str
) -> None:
    do(Http(), {"url": url, "method": "PUT", "headers": given, "json": {"a": [1, "ä"]}})
    ((_method, _path, headers, body),) = records.seen
    assert (headers["content-type"], body) == (kind, '{"a":[1,"ä"]}'.encode())


@pytest.mark.parametrize(
    ("method", "given", "sent"),
    [
        ("GET", {}, None),
        ("POST", {}, KEY),
        ("PUT", {}, KEY),
        ("PATCH", {}, KEY),
        ("DELETE", {}, KEY),
        ("PUT", {"IDEMPOTENCY-KEY": "mine"}, "mine"),
    ],
)
def test_what_changes_something_bears_the_effects_key(
    do: Do, url: str, records: Records, method: str, given: dict[str, str], sent: str | None
) -> None:
    do(Http(), {"url": f"{url}/x?a=1", "method": method, "headers": {"X-Mine": "1", **given}, "body": "text"})
    ((method_seen, path, headers, body),) = records.seen
    assert (method_seen, path, body) == (method, "/x?a=1", b"text")
    assert (headers.get("idempotency-key"), headers["x-mine"]) == (sent, "1")


@pytest.mark.parametrize(
    ("status", "expect", "error"),
    [
        (200, None, None),
        (204, None, None),
        (404, [200, 404], None),
        (404, 404, None),
        (503, [503], None),
        (302, None, UnexpectedAnswer),
        (404, None, UnexpectedAnswer),
        (200, [201], UnexpectedAnswer),
        (429, None, ServerUnavailable),
        (500, None, ServerUnavailable),
        (503, [200], ServerUnavailable),
        (599, None, ServerUnavailable),
    ],
)
def test_the_status_decides(do: Do, status: int, expect: Any, error: type[Exception] | None) -> None:
    with serving(lambda request: respond(request, status)) as url:
        given = {"url": f"{url}/r?token=s3cret"} | ({"expect": expect} if expect else {})
        if error is None:
            assert do(Http(), given).status == status
            return
        with pytest.raises(error) as caught:
            do(Http(), given)
    assert str(caught.value).startswith(f"GET {url}/r?token=*** answered {status}")


def test_a_server_that_is_not_there_may_come(do: Do) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=rf"PUT http://u:\*\*\*@127.0.0.1:{port}/: ConnectError"):
            do(Http(), {"url": f"http://u:s3cret@127.0.0.1:{port}/", "method": "PUT"})


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_what_breaks_off_or_is_no_http_is_a_server_that_may_come(do: Do, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(ServerUnavailable):
            do(Http(), {"url": f"http://127.0.0.1:{server.getsockname()[1]}/"})
        thread.join()


def test_a_server_that_never_answers_is_left_at_the_deadline(do: Do) -> None:
    over = Event()

    def hang(_request: BaseHTTPRequestHandler) -> None:
        over.wait(30)

    with serving(hang) as url:
        began = time.monotonic()
        with pytest.raises(StepTimeout, match=r"GET http://127.0.0.1:\d+: no answer within 0\.3 s"):
            do(Http(), {"url": url}, seconds=0.3)
        assert time.monotonic() - began < 5
        over.set()


@pytest.mark.parametrize("task", [Http(), WaitFor()], ids=lambda task: task.name)
def test_whoever_ends_the_run_does_not_wait_for_the_answer(do: Do, task: Task) -> None:
    """The connection is cut: the server sees that nobody waits any more."""
    asked, seen = Event(), []

    def hang(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        request.connection.settimeout(30)
        seen.append(request.connection.recv(1))

    def check() -> None:
        if asked.is_set():
            raise StaleWorker("another one has it")

    with serving(hang) as url:
        began = time.monotonic()
        with pytest.raises(StaleWorker):
            do(task, {"url" if task.name == "http" else "http": url}, check=check)
        assert time.monotonic() - began < 3
        while not seen:
            assert time.monotonic() - began < 10
            time.sleep(0.01)
    assert seen == [b""]


def test_a_server_that_answers_drop_by_drop_is_left_at_the_deadline(do: Do) -> None:
    over = Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        with suppress(OSError):
            while not over.wait(0.05):
                request.wfile.write(b"x")

    with serving(drip) as url:
        began = time.monotonic()
        with pytest.raises(StepTimeout):
            do(Http(), {"url": url}, seconds=0.5)
        assert time.monotonic() - began < 5
        over.set()


def test_of_a_large_answer_is_kept_what_fits(do: Do) -> None:
    sent = b'{"a": "' + b"x" * 3 * MOST_BYTES + b'"}'
    with serving(lambda request: respond(request, 200, sent, "application/json")) as url:
        answer = do(Http(), {"url": url})
    assert (answer.cut, answer.json, len(answer.text)) == (True, None, MOST_BYTES)


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'])
def test_json_that_is_none_is_text(do: Do, body: bytes) -> None:
    with serving(lambda request: respond(request, 200, body, "application/problem+json")) as url:
        answer = do(Http(), {"url": url})
    assert (answer.json, answer.text) == (None, body.decode("utf-8", "replace"))


def test_a_charset_that_nobody_knows_does_no_harm(do: Do) -> None:
    with serving(lambda request: respond(request, 200, "grün".encode(), "text/plain; charset=klingon")) as url:
        assert do(Http(), {"url": url}).text == "grün"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"url": "ftp://example.org/"}, "http: url must be an http or https URL"),
        ({"url": "example.org"}, "http: url must be an http or https URL"),
        ({"url": "http://"}, "http: url is no URL that can be used: it names no host"),
        ({"url": "http://exa mple.org/"}, "http: url is no URL that can be used: there are blanks in it"),
        ({"url": "http://[::1/"}, "http: url is no URL that can be used: Invalid IPv6 URL"),
        ({"url": "http://a/", "method": "GET /x"}, "http: method must be one of HTTP's, such as GET or PUT"),
        ({"url": "http://a/", "headers": {"a b": "1"}}, 'http: header "a b" has signs that no header may have'),
        (
            {"url": "http://a/", "headers": {"a": "s3cret\r\nb: 1"}},
            'http: header "a" has signs that no header may have',
        ),
        ({"url": "http://a/", "headers": {"a": "ä"}}, 'http: header "a" has signs that no header may have'),
        ({"url": "http://a/", "json": 1, "body": "x"}, "http: json and body exclude each other"),
        (
            {"url": "http://a/", "json": {"a": [float("nan")]}},
            "http: json has what JSON has not: Out of range float values are not JSON compliant",
        ),
        ({"url": "http://a/", "expect": "200"}, "http: expect must be a list or an integer or null, not a text"),
        ({"url": "http://a/", "headers": {"a": 1}}, "http: headers[...] must be a text, not an integer"),
    ],
)
def test_what_is_no_request_is_refused(do: Do, given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        do(Http(), given)
    assert str(caught.value) == text


def test_the_library_is_loaded_when_the_first_request_is_sent() -> None:
    import subprocess
    import sys

    code = "import sys, slipway.flows.tasks.catalog; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_certificates_are_read_once(do: Do, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    do(Http(), {"url": url})
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *args, **_: read.append(args))
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *args, **_: read.append(args))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", url)
    do(Http(), {"url": url})
    assert read == []
