"""`--db postgresql://...` as it is typed: a build by it, and each thing that may be wrong with it in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from slipway.states.schema import SCHEMA_VERSION
from tests.postgresql import PostgreSQL, certificate, free_port, missing, name_of, started

Call = Callable[..., Result]
FileWriter = Callable[..., str]
SECRET = "hunter-2-secret"


@pytest.fixture(scope="module")
def secured() -> Iterator[PostgreSQL]:
    """A server on loopback with a certificate of its own making, where Bob has a password and a database."""
    if reason := missing():
        pytest.skip(reason)
    with started({"listen_addresses": "127.0.0.1", "port": free_port(), "ssl": "on"}) as server:
        server.execute(f"CREATE ROLE bob LOGIN PASSWORD '{SECRET}'")
        server.execute("CREATE DATABASE bobs OWNER bob")
        yield server


def test_a_build_and_what_it_shows(
    slipway: Call, run_file: FileWriter, postgresql: PostgreSQL, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = slipway("run", run_file(), "--db", database)
    assert done.exit_code == 0, done.stderr
    monkeypatch.setenv("SLIPWAY_DB", database.replace("postgresql://", "postgresql+psycopg://"))
    listed = json.loads(slipway("list", "--output", "json").stdout)
    assert [(one["name"], one["vm_state"]) for one in listed] == [("gate", "ACTIVE"), ("web", "ACTIVE")]
    assert slipway("audit").exit_code == 0
    refused = slipway("backup", "copy.db")
    assert (refused.exit_code, "pg_dump" in refused.stderr, refused.stderr.count("\n")) == (1, True, 1)
    assert slipway("destroy", run_file()).exit_code == 0
    assert json.loads(slipway("list", "--output", "json").stdout) == []
    postgresql.execute("UPDATE meta SET schema_version = 99", database=name_of(database))
    newer = slipway("list")
    said = f"written by a newer Slipway (schema 99, this one knows {SCHEMA_VERSION}); upgrade Slipway"
    assert (newer.exit_code, said in newer.stderr, newer.stderr.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://bob:{secret}@127.0.0.1:1/bobs", "Connection refused"),
        ("postgresql://bob:{secret}@nosuch.invalid/bobs", "nosuch.invalid"),
        ("postgresql://bob:wrong-{secret}@127.0.0.1:{port}/bobs", "password authentication failed"),
        ("postgresql://nobody:{secret}@127.0.0.1:{port}/bobs", 'password authentication failed for user "nobody"'),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/others", 'database "others" does not exist'),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/bobs?sslmode=verify-full&sslrootcert={ca}", "certificate"),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/bobs?sslmode=sometimes", "sslmode"),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/bobs?colour=red", "colour"),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/latin", "its encoding is LATIN1"),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/foreign", "its tables are not as this Slipway made them"),
        ("postgresql://bob:{secret}@127.0.0.1:{port}/postgres", "permission denied"),
        ("postgresql+psycopg2://bob:{secret}@127.0.0.1:{port}/bobs", "its driver is psycopg here, not psycopg2"),
        ("postgresql+asyncpg://bob:{secret}@127.0.0.1:{port}/bobs", "its driver is psycopg here, not asyncpg"),
        ("mariadb://bob:{secret}@127.0.0.1/bobs", "the record is in SQLite (sqlite:///FILE) or PostgreSQL"),
        ("mysql+pymysql://bob:{secret}@127.0.0.1/bobs", "the record is in SQLite (sqlite:///FILE) or PostgreSQL"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    url: str, said: str, secured: PostgreSQL, slipway: Call, run_file: FileWriter, tmp_path: Path
) -> None:
    if "/latin" in url:
        secured.execute("CREATE DATABASE latin OWNER bob ENCODING LATIN1 TEMPLATE template0")
    if "/foreign" in url:
        secured.execute("CREATE DATABASE foreign_ OWNER bob")
        secured.execute('ALTER DATABASE foreign_ RENAME TO "foreign"')
        secured.execute("CREATE TABLE meta (x int); GRANT SELECT ON meta TO bob", database="foreign")
    other = tmp_path / "ca.pem"
    certificate(other, tmp_path / "key.pem")
    url = url.format(secret=SECRET, port=secured.port, ca=other)
    for words in (["run", run_file()], ["list", "--verbose"], ["audit", "--output", "json"]):
        if "/postgres" in url and words[0] != "run":
            continue
        done = slipway(*words, "--db", url)
        assert done.exit_code == 2, done.stderr
        assert said in done.stderr + done.stdout.replace('\\"', '"')
        assert SECRET not in done.stderr + done.stdout
        assert "--verbose" in words or (done.stderr + done.stdout).count("\n") == 1
    state = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert SECRET.encode() not in state


def test_a_password_that_is_right_is_nowhere(
    secured: PostgreSQL, slipway: Call, run_file: FileWriter, tmp_path: Path
) -> None:
    url = f"postgresql://bob:{SECRET}@127.0.0.1:{secured.port}/bobs?sslmode=require"
    told = [slipway("run", run_file(), "--db", url, "--verbose")]
    for words in (["history", "web"], ["show", "web"], ["events"], ["runs", "list"], ["delete", "web", "--yes"]):
        told += [slipway(*words, "--db", url), slipway(*words, "--db", url, "--output", "json")]
    assert told[0].exit_code == 0, told[0].stderr
    assert all(SECRET not in one.stdout + one.stderr for one in told)
    dumped = secured.execute("SELECT asked_by FROM runs", database="bobs")
    assert dumped
    assert all(SECRET not in row[0] for row in dumped)
    state = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert SECRET.encode() not in state


def test_a_driver_that_is_not_installed() -> None:
    hidden = "import sys; sys.modules['psycopg'] = None; from slipway.cli.main import main; main(prog_name='slipway')"
    command = [sys.executable, "-c", hidden, "list", "--db", "postgresql://bob@127.0.0.1/bobs"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "slipway: postgresql://bob@127.0.0.1/bobs: its driver, the Python module psycopg, is not installed: "
        "pip install 'slipway[postgresql]'\n",
    )
