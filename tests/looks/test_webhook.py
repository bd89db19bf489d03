"""Events sent to a receiver: each at least once, in order, whatever the receiver does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.operations import webhook
from slipway.runfile import loads
from tests import record
from tests.states.test_outbox import FILE
from tests.waiting import until


class Receiver:
    """A server that answers what it is told to, then 204; `took` has the numbers of the events of each request."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.took: list[list[int]] = []
        self.bodies: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.answers.pop(0) if receiver.answers else 204
                receiver.bodies.append(body)
                receiver.took.append([event["seq"] for event in body["events"]] if status < 300 else [])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def all(self) -> list[int]:
        """The numbers of all events that it took."""
        return [number for part in self.took for number in part]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    """On which an instance was built; no wait lasts."""
    file = loads(FILE.format(simulate=""), str(tmp_path / "events.yaml"))
    waits: list[float] = []
    with Orchestrator(tmp_path / "state", settings=file.settings, sleep=waits.append) as made:
        made.run(file)
        yield made


def numbers(slipway: Orchestrator) -> list[int]:
    return [event.seq for event in slipway.events()]


def test_a_receiver_takes_each_event_once_and_what_comes_later_next_time(
    slipway: Orchestrator, receiver: Receiver, tmp_path: Path
) -> None:
    first = numbers(slipway)
    assert slipway.deliver(receiver.url) == len(first)
    assert slipway.deliver(receiver.url) == 0
    slipway.delete("web")
    with Orchestrator(tmp_path / "state") as another:
        another.deliver(receiver.url)
    assert receiver.all == numbers(slipway)
    body = receiver.bodies[0]
    assert set(body) == {"installation", "events"}
    (run, *_) = slipway.runs.list()
    assert body["events"][0] | {"at": "", "instance_id": ""} == {
        **{"seq": 1, "at": "", "began_at": None, "type": "instance.create", "run_id": run.id, "instance_id": ""},
        **{"step": None, "slot": None, "attempt": None, "host": None, "state": "BUILDING/SCHEDULING", "detail": ""},
        **{"name": "web", "project": "default"},
    }


def test_many_events_come_in_parts_and_in_order(
    slipway: Orchestrator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_AT_ONCE", 7)
    slipway.deliver(receiver.url)
    assert {len(part) for part in receiver.took[:-1]} == {7}
    assert receiver.all == numbers(slipway)


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_be_taken_later_is_sent_again(slipway: Orchestrator, receiver: Receiver, status: int) -> None:
    receiver.answers = [status] * 4
    assert slipway.deliver(receiver.url) == len(numbers(slipway))
    assert receiver.took == [[], [], [], [], numbers(slipway)]


def test_a_receiver_that_stays_away_is_an_error_and_nothing_is_lost(slipway: Orchestrator, receiver: Receiver) -> None:
    receiver.answers = [500] * 5
    with pytest.raises(errors.WebhookFailed, match="answered 500; events from 1 on were not taken"):
        slipway.deliver(receiver.url)
    assert len(receiver.took) == 5
    assert slipway.deliver(receiver.url) == len(numbers(slipway))


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
def test_a_receiver_that_refuses_is_not_asked_again(slipway: Orchestrator, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    with pytest.raises(errors.WebhookFailed, match=f"answered {status}: it does not take events"):
        slipway.deliver(receiver.url)
    assert receiver.took == [[]]


def test_what_was_taken_and_not_put_on_record_is_sent_again(
    slipway: Orchestrator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise errors.DatabaseFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr("slipway.states.outbox.deliver", full)
        with pytest.raises(errors.DatabaseFull):
            slipway.deliver(receiver.url)
    slipway.deliver(receiver.url)
    assert receiver.took == [numbers(slipway)] * 2


def test_each_receiver_has_its_own_place(slipway: Orchestrator, receiver: Receiver) -> None:
    slipway.deliver(receiver.url)
    assert slipway.deliver(f"{receiver.url}/other", after=5) == len(numbers(slipway)) - 5
    assert slipway.deliver(receiver.url) == 0


@pytest.mark.parametrize("drips", [False, True], ids=["says nothing", "says a letter now and then"])
def test_a_receiver_that_hangs_is_given_up_in_time(
    slipway: Orchestrator, monkeypatch: pytest.MonkeyPatch, drips: bool
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.4)
    monkeypatch.setattr(webhook, "_TRIES", 2)
    ended = threading.Event()

    def hang(server: socket.socket) -> None:
        with ExitStack() as accepted:
            while not ended.is_set():
                try:
                    connection = accepted.enter_context(server.accept()[0])
                except OSError:
                    return
                with suppress(OSError):
                    while drips and not ended.wait(0.05):
                        connection.sendall(b"H")

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=hang, args=(server,), daemon=True)
        thread.start()
        before, threads = time.monotonic(), threading.active_count()
        with pytest.raises(errors.WebhookFailed, match=r"no answer within 0\.4 s|ProtocolError"):
            slipway.deliver(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert time.monotonic() - before < 20
        assert threading.active_count() <= threads
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_nobody_is_there(slipway: Orchestrator) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with pytest.raises(errors.WebhookFailed, match="ConnectError"):
        slipway.deliver(f"http://127.0.0.1:{port}/")


def test_a_build_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    """It knows of none: the setting is for who delivers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        text = f"{FILE.format(simulate='')}settings: {{webhook: 'http://127.0.0.1:{server.getsockname()[1]}/'}}\n"
        file = loads(text, "events.yaml")
        with Orchestrator(tmp_path, settings=file.settings) as slipway:
            (ended,) = slipway.run(file).ended
        assert ended.instance is not None
        assert ended.instance.vm_state == "ACTIVE"
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_secret_of_the_url_is_said_or_kept(slipway: Orchestrator, receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [404]
    url = receiver.url.replace("127", "bob:hunter2@127") + "?token=abc123"
    with pytest.raises(errors.WebhookFailed) as refused:
        slipway.deliver(url)
    slipway.deliver(url)
    slipway.close()
    kept = record.kept(tmp_path / "state")
    for secret in ("hunter2", "abc123"):
        assert secret not in str(refused.value)
        assert secret.encode() not in kept


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org/", "http://", "http://a b/", "http://[::1/"])
def test_what_is_no_url_is_refused(slipway: Orchestrator, url: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="webhook: "):
        slipway.deliver(url)


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(slipway: Orchestrator, tmp_path: Path) -> Callable[..., Result]:
    def call(*args: str, **variables: str) -> Result:
        env = {"SLIPWAY_STATE": str(tmp_path / "state"), **variables}
        return CliRunner().invoke(main, args, env=env, prog_name="slipway")

    return call


def test_the_command_says_how_many_were_taken(typed: Callable[..., Result], receiver: Receiver) -> None:
    done = typed("events", "--webhook", receiver.url)
    assert (done.exit_code, done.stdout) == (0, f"The receiver took {len(receiver.took[0])} events.\n")
    assert typed("events", "--webhook", receiver.url, "--output", "json").stdout == '{"taken":0}\n'
    receiver.answers = [410]
    refused = typed("events", "--webhook", receiver.url, "--after", "0")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith("/hook answered 410: it does not take events\n")


def test_the_settings_say_who_receives(typed: Callable[..., Result], receiver: Receiver, tmp_path: Path) -> None:
    refused = typed("events", "--webhook")
    assert refused.exit_code == 2
    assert "webhook: name its URL, here or as the settings' webhook" in refused.stderr
    file = tmp_path / "events.yaml"
    file.write_text(f"{FILE.format(simulate='')}settings: {{webhook: '{receiver.url}'}}\n")
    assert typed("run", str(file)).exit_code == 0
    assert typed("events", "--webhook").exit_code == 0
    assert receiver.took
    assert typed("events", "--webhook", "--instance", "web").exit_code == 2


def test_who_follows_sends_what_comes_and_waits_for_a_receiver_that_is_away(
    slipway: Orchestrator, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [503] * 7
    enough = threading.Event()

    def follow() -> None:
        with Orchestrator(tmp_path / "state", sleep=lambda _seconds: time.sleep(0.01)) as another:
            another.deliver(receiver.url, follow=True, stopping=enough.is_set)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        slipway.delete("web")
        until(lambda: receiver.all[-1:] == numbers(slipway)[-1:], "the last event")
    finally:
        enough.set()
        thread.join(60)
    assert receiver.all == numbers(slipway)
