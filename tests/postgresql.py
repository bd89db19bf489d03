"""A PostgreSQL of the tests' own: it listens on a socket in a directory, and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path


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


class PostgreSQL:
    """A server with one empty database, which loses everything with a crash."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"postgresql+psycopg://{_user()}@/postgres?host={directory}"
        directory.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(directory, _user())
        self._call("initdb", "-D", str(directory / "data"), "-A", "trust", "-N", "-E", "UTF8")
        options = f"-c listen_addresses= -c fsync=off -k {directory}"
        log = str(directory / "log")
        self._call("pg_ctl", "-D", str(directory / "data"), "-o", options, "-l", log, "-w", "start")

    def close(self) -> None:
        """Stop it at once."""
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


def _user() -> str:
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
