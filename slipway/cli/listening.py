"""What a worker answers on the loopback interface: whether it takes work, and the metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click

from slipway.errors import SlipwayError

Answer = tuple[int, str]


@contextmanager
def listening(port: int, is_ready: Callable[[], bool], metrics: Callable[[], str]) -> Iterator[None]:
    """Answer `/ready` (200, or 503 while it takes no work) and `/metrics` on 127.0.0.1, in a thread."""

    def ready() -> Answer:
        return (200, "ready\n") if is_ready() else (503, "takes no work\n")

    def measured() -> Answer:
        try:
            return 200, metrics()
        except SlipwayError as error:
            return 503, f"{error}\n"

    pages = {"/ready": ready, "/metrics": measured}

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            """Answer it."""
            status, text = pages.get(self.path, lambda: (404, "/ready or /metrics\n"))()
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Requests are not logged."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise click.UsageError(f"--listen {port}: {error.strerror}") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="slipway-listening", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
