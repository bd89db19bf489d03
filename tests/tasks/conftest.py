"""A step of a run of its own, for the tests of what tasks do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace

from slipway.flows.tasks.base import RunInfo, Task, Tools, Work
from slipway.orchestrator import default_drivers
from slipway.settings import Settings
from slipway.states.sqlitefile import make_state
from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from slipway.testing.contracts.task import effect_of_run

RUN = RunInfo("7c9e6679-7425-40de-944b-e07fc1f90ae7", "mine", "demo")

Do: TypeAlias = Callable[..., Any]
"""Has a task done, with what a workflow passes to it; `seconds`, `check`, `approved`, `tell` as in `Work`."""


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    state = tmp_path / "slipway"
    make_state(state)
    store = Store(sqlite_url(state / "slipway.db"))
    drivers = default_drivers(store, Settings(), state)
    yield Tools(
        store,
        drivers,
        Settings(poll_interval=0.05),
        lambda: datetime.now(UTC),
        time.monotonic,
        time.sleep,
        allow_commands=True,
    )
    store.close()


@pytest.fixture
def do(tools: Tools) -> Do:
    def do(task: Task, arguments: dict[str, Any], *, seconds: float = 20.0, **work: Any) -> Any:
        effect = effect_of_run(task, arguments, RUN, at=tools.clock())
        given = replace(Work(effect, RUN, tools, tools.monotonic() + seconds), **work)
        return task.do(given, **task.accept(arguments))

    return do


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The URL of an HTTP server on loopback that answers every request so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on the terminal."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", lambda handler: answer(handler))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def respond(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
    request.send_response_only(status)  # without the time, so that two answers are alike
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
