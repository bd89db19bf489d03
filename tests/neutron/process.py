"""The process of a real Neutron, and a wire to it that can be made to fail."""

from __future__ import annotations

import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.waiting import PATIENCE

OLDER = os.environ.get("NEUTRON")
"""The version of an older Neutron that is to be tested against: `NEUTRON=25.2.3 bash tests/run tests/neutron`."""
PYTHON = Path(__file__).parents[2] / (f".venv-neutron-{OLDER}" if OLDER else ".venv-neutron") / "bin" / "python"
VIF_TYPE = (
    "bridge" if [*PYTHON.parents[1].glob("lib/*/site-packages/neutron/plugins/ml2/drivers/linuxbridge")] else "ovs"
)
"""How that Neutron binds ports: the last line with a Linux bridge driver is 25."""
HOSTS = ("node-1", "node-2")
"""The hosts whose agents that Neutron knows, so that ports can be bound there."""


@dataclass(frozen=True)
class Neutron:
    """Where it is."""

    endpoint: str


@contextmanager
def running(hosts: Sequence[str]) -> Iterator[Neutron]:
    """A Neutron of its own, without networks; it ends with the pipe, so also when pytest is killed."""
    with serving("server.py", *hosts) as endpoint:
        yield Neutron(endpoint)


@contextmanager
def serving(script: str, *arguments: str) -> Iterator[str]:
    """The address that the script prints, for as long as it runs."""
    command = [str(PYTHON), str(Path(__file__).with_name(script)), *arguments]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, f"{script} has ended with {process.wait()}; its errors are on standard error"
        yield address
        process.stdin.close()


Answer = tuple[int, bytes]
"""The HTTP status and the body."""


class Wire:
    """A proxy before Neutron. `meddle` gets each request's method and path, and what asks Neutron.

    It gives what the client is to see: Neutron's answer, another one, or None for a connection that breaks.
    """

    def __init__(self, endpoint: str) -> None:
        self.meddle: Callable[[str, str, Callable[[], Answer]], Answer | None] = lambda _method, _path, ask: ask()
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length) or None
                headers = {k: v for k, v in self.headers.items() if k.startswith("X-") or k == "Content-Type"}
                request = urllib.request.Request(endpoint + self.path, body, headers, method=self.command)

                def ask() -> Answer:
                    try:
                        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                            return answer.status, answer.read()
                    except urllib.error.HTTPError as error:
                        return error.code, error.read()

                answer = wire.meddle(self.command, self.path, ask)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_message: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
