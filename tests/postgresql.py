"""A PostgreSQL of the tests' own: it listens on a socket in a directory, and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import urlsplit


def programs() -> Path | None:
    """Where Debian, or the PATH, has them; the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


def missing() -> str:
    """Why there can be none; empty where there can."""
    if programs() is None:
        return "not installed: initdb (postgresql)"
    return "" if find_spec("psycopg") else "not installed: psycopg"


@contextmanager
def started(settings: Mapping[str, str | int] | None = None) -> Iterator[PostgreSQL]:
    """A server in a directory of its own, which goes with it."""
    # In a short path, for its socket is in it.
    with tempfile.TemporaryDirectory(prefix="slipway-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        server = PostgreSQL(Path(directory) / "pg", settings)
        try:
            yield server
        finally:
            server.close()


_END = """
exec 2>/dev/null
read -r line
read -r server < "$1/data/postmaster.pid" && kill -QUIT "$server" && while kill -0 "$server"; do sleep 0.05; done
rm -rf "$1"
rmdir "$(dirname "$1")"
"""
"""Waits for the end of who holds the other end of its standard input, however that comes, and has the server end with
it. What makes a server go with its parent does not serve: `pg_ctl`, which is its parent, goes at once."""


class PostgreSQL:
    """A server that loses everything with a crash of its machine. Its databases are made from one with all tables."""

    def __init__(self, directory: Path, settings: Mapping[str, str | int] | None = None) -> None:
        self.directory = directory
        usual: dict[str, str | int] = {"fsync": "off", "listen_addresses": "", "max_connections": 300}
        self._settings = usual | {**(settings or {})}
        self._end = subprocess.Popen(["sh", "-c", _END, "sh", str(directory)], stdin=PIPE, start_new_session=True)
        self._numbers = count(1)
        directory.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(directory, _user())
        data = directory / "data"
        self._call("initdb", "-D", str(data), "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
        if self._settings.get("ssl"):
            # By name on its socket, by password and TLS elsewhere.
            (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
            certificate(data / "server.crt", data / "server.key")
            if os.geteuid() == 0:
                shutil.chown(data / "server.key", _user())
        self.start()

    @property
    def port(self) -> int:
        """Where it listens on loopback, if it does."""
        return int(self._settings.get("port", 5432))

    def url(self, database: str = "postgres") -> str:
        """Of one of its databases."""
        return f"postgresql://{_user()}@:{self.port}/{database}?host={self.directory}"

    def empty(self) -> str:
        """The URL of a new database without any table."""
        name = f"slipway_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, *values: Any, database: str = "postgres") -> list[Any]:
        """Carry a statement out; gives its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement, values or None)
            return done.fetchall() if done.description else []

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        log = str(self.directory / "log")
        self._call(
            "pg_ctl",
            *("-D", str(self.directory / "data")),
            "-o",
            f"{options} -k {self.directory}",
            "-l",
            log,
            "-w",
            "start",
        )

    def close(self) -> None:
        """Stop it for good; all that it has goes."""
        self._end.communicate()

    def stop(self) -> None:
        """Stop it at once, as a crash does; one that is stopped stays so."""
        if not (self.directory / "data" / "postmaster.pid").exists():
            return
        self._call("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "-w", "stop")

    def _call(self, program: str, *args: str) -> None:
        found = programs()
        assert found is not None
        # PostgreSQL does not run as root.
        user = _user() if os.geteuid() == 0 else None
        subprocess.run(
            [str(found / program), *args],
            check=True,
            user=user,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


def certificate(path: Path, key: Path) -> None:
    """Make a certificate that nobody has signed, and its key."""
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=slipway"]
    command = ["openssl", "req", "-x509", *kind, "-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)


def free_port() -> int:
    """One of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def name_of(url: str) -> str:
    """The name of the database that a URL names."""
    return urlsplit(url).path.lstrip("/")


def _user() -> str:
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
