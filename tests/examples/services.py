"""A server on loopback that is every HTTP service which an example knows, reached as their proxy."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Services:
    """Resources by their URLs: PUT makes or replaces one, DELETE removes it, and GET of `health` is an answer."""

    def __init__(self) -> None:
        self.resources: dict[str, Any] = {}
        self.refused: list[str] = []
        """Patterns of requests (`PUT http://...`) that are answered with 409."""
        self.asked: list[str] = []
        self.url = ""
        self.lock = threading.Lock()

    def answer(self, method: str, url: str, body: bytes) -> tuple[int, Any]:
        """The status and what is in the answer."""
        with self.lock:
            self.asked.append(f"{method} {url}")
            if any(re.search(pattern, f"{method} {url}") for pattern in self.refused):
                return 409, {"error": "refused"}
            if method == "PUT":
                self.resources[url] = json.loads(body)
                return 200, self.resources[url]
            if url.endswith("/health"):
                return 200, {}
            if url not in self.resources:
                return 404, {"error": "not found"}
            if method == "DELETE":
                del self.resources[url]
                return 204, None
            return 200, self.resources[url]


@contextmanager
def served() -> Iterator[Services]:
    """The services, at `url` until this is left."""
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Any:
            """`do_PUT` and all the others."""
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = services.answer(self.command, self.path, body)
            data = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    services.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
