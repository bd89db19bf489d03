"""Job boards of the tests' own: Redis and etcd, each started on the loopback interface and ended with the tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.drivers.board import Board
from slipway.errors import BoardUnavailable
from tests.host.libvirtd import WITH_US

KINDS = {"redis": "redis-server", "etcd": "etcd"}


def missing(kind: str) -> str:
    """What is not installed, in words; empty where all is there."""
    return "" if shutil.which(KINDS[kind]) else f"{KINDS[kind]} is not installed"


def free_port() -> int:
    """A port that nobody listened on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """A server that can be killed, started again with or without what it had."""

    def __init__(self, kind: str, directory: Path, tls: Path | None = None) -> None:
        self.kind = kind
        self._tls = tls
        self.port = free_port()
        self._peer = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.kind}{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._directory.mkdir(exist_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen([*WITH_US, *self._command()], stdout=log, stderr=log)
        for _ in range(200):
            try:
                Board(self.url + self._by_tls, "tests", "tests", ttl=5).close()
            except BoardUnavailable:
                time.sleep(0.1)
            else:
                return
        raise AssertionError((self._directory / "log").read_text()[-2000:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_all(self) -> None:
        """Have it begin with nothing; it must not run."""
        shutil.rmtree(self._directory)

    @property
    def _by_tls(self) -> str:
        return f"?ca={self._tls}/ca.pem&cert={self._tls}/server.pem&key={self._tls}/server.key" if self._tls else ""

    def _command(self) -> list[str]:
        where, tls = str(self._directory), str(self._tls)
        if self.kind == "redis":
            options = ["--bind", "127.0.0.1", "--dir", where, "--appendonly", "yes", "--appendfsync", "always"]
            port = ["--port", str(self.port)]
            if self._tls:
                port = ["--port", "0", "--tls-port", str(self.port), "--tls-ca-cert-file", f"{tls}/ca.pem"]
                port += ["--tls-cert-file", f"{tls}/server.pem", "--tls-key-file", f"{tls}/server.key"]
            return ["redis-server", *port, *options, "--save", ""]
        scheme = "https" if self._tls else "http"
        ours, peers = f"{scheme}://127.0.0.1:{self.port}", f"http://127.0.0.1:{self._peer}"
        secure = ["--cert-file", f"{tls}/server.pem", "--key-file", f"{tls}/server.key", "--client-cert-auth"]
        return [
            *("etcd", "--data-dir", f"{where}/data", "--initial-cluster", f"default={peers}"),
            *("--listen-client-urls", ours, "--advertise-client-urls", ours),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *([*secure, "--trusted-ca-file", f"{tls}/ca.pem"] if self._tls else []),
        ]


@contextmanager
def running(kind: str, directory: Path, tls: Path | None = None) -> Iterator[Server]:
    """A server of that kind; with `tls`, a directory of certificates, by that alone."""
    server = Server(kind, directory, tls)
    try:
        server.start()
        yield server
    finally:
        server.kill()
