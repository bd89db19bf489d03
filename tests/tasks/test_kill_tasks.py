"""kill -9 at every commit of a run that builds an instance, stops it and tells a service of it; then it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import BuildInterrupted, DatabaseUnavailable, StoreError
from slipway.model.request import Host
from slipway.settings import Settings
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.record import opened

SERVICE = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

place = Path(sys.argv[1])

class Names(BaseHTTPRequestHandler):
    def log_message(self, *_): ...
    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_POST(self):
        key = self.headers["Idempotency-Key"].replace("/", "-")
        (place / key).write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, {"id": key})
    def do_DELETE(self):
        there = place / self.path.rpartition("/")[2]
        self.answer(204 if there.exists() else 404, {})
        there.unlink(missing_ok=True)

server = HTTPServer(("127.0.0.1", 0), Names)
print(server.server_port, flush=True)
server.serve_forever()
"""

FLOW = """
schema: 1
name: name-it
inputs:
  good: {{type: boolean, default: true}}
steps:
  - id: web
    uses: build-instance
    with:
      name: web
      flavor: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}
      image: {{kernel: /vmlinux}}
      networks: []
  - id: name
    uses: http
    with:
      method: POST
      url: {url}/names
      json: {{name: "${{{{ steps.web.outputs.name }}}}"}}
    revert:
      uses: http
      with: {{method: DELETE, url: "{url}/names/${{{{ result.json.id }}}}", expect: [204, 404]}}
  - id: stop
    uses: stop
    with: {{instance: "${{{{ steps.web.outputs.id }}}}"}}
  - id: check
    uses: assert
    with: {{that: "${{{{ inputs.good }}}}", message: it is not good}}
"""


@pytest.fixture
def names(tmp_path: Path) -> Path:
    place = tmp_path / "names"
    place.mkdir()
    return place


@pytest.fixture
def url(names: Path) -> Iterator[str]:
    """A service in a process of its own: it lives on when the worker dies."""
    with subprocess.Popen([sys.executable, "-c", SERVICE, str(names)], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        yield f"http://127.0.0.1:{service.stdout.readline().strip()}"
        service.kill()


def orchestrator(state: Path, *faults: Fault) -> Orchestrator:
    more = {"store": Faults(*faults).store} if faults else {}
    return Orchestrator(state, settings=Settings(poll_interval=0.01), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("good", [True, False], ids=["forward", "back"])
def test_a_kill_at_every_commit_leaves_one_of_each_or_nothing(
    good: bool, tmp_path: Path, names: Path, url: str
) -> None:
    flow, begun, state = tmp_path / "flow.yaml", tmp_path / "begun", tmp_path / "state"
    flow.write_text(FLOW.format(url=url))
    with orchestrator(begun) as slipway:
        slipway.add_host(Host("node-1", 8, 8 << 30, 100 << 30))

    def act(fault: Fault) -> None:
        with orchestrator(state, fault) as slipway:
            slipway.runs.run(str(flow), {"good": good}, idempotency_key="once")

    points = 0
    for mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        for nth in range(1000):
            shutil.rmtree(state, ignore_errors=True)
            record.copy(begun, state)
            for there in names.iterdir():
                there.unlink()
            if not crashed(partial(act, Fault("commit", mode, nth))):
                break
            check(flow, state, names, good, f"{mode}:{nth}")
            points += 1
    assert points > 30


@pytest.mark.parametrize("good", [True, False], ids=["forward", "back"])
@pytest.mark.parametrize("mode", [Mode.ERROR, Mode.FULL])
def test_a_commit_that_fails_is_no_failure_of_a_step(
    good: bool, mode: Mode, tmp_path: Path, names: Path, url: str
) -> None:
    """Also one in the build of the instance, or in its delete: the record could not be written, so somebody goes on."""
    flow, begun, state = tmp_path / "flow.yaml", tmp_path / "begun", tmp_path / "state"
    flow.write_text(FLOW.format(url=url))
    with orchestrator(begun) as slipway:
        slipway.add_host(Host("node-1", 8, 8 << 30, 100 << 30))
    points = 0
    for nth in range(1000):
        shutil.rmtree(state, ignore_errors=True)
        record.copy(begun, state)
        for there in names.iterdir():
            there.unlink()
        try:
            fault = Fault("commit", mode, nth, lambda: DatabaseUnavailable("injected"))
            with orchestrator(state, fault) as slipway:
                slipway.runs.run(str(flow), {"good": good}, idempotency_key="once")
            break
        except (StoreError, BuildInterrupted):
            check(flow, state, names, good, f"{mode}:{nth}")
            points += 1
    assert points > 15


def check(flow: Path, state: Path, names: Path, good: bool, point: str) -> None:
    began = time.monotonic()
    with orchestrator(state) as slipway:
        slipway.resume()
        run = slipway.runs.run(str(flow), {"good": good}, idempotency_key="once")
        there = [(one.name, one.vm_state) for one in slipway.list()]
        found = slipway.audit()
    assert (run.state, found) == ("SUCCEEDED" if good else "FAILED", ()), point
    assert there == ([("web", "STOPPED")] if good else []), point
    assert [json.loads(name.read_bytes()) for name in names.iterdir()] == ([{"name": "web"}] if good else []), point
    with closing(opened(state / "slipway.db")) as db:
        unsettled = db.execute("SELECT key FROM effects WHERE state IN ('intended', 'stuck')").fetchall()
    assert unsettled == [], point
    assert time.monotonic() - began < 30, f"{point}: nobody waits for a worker that is gone"
