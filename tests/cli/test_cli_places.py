"""Where state and database are, and what is said when they cannot be used."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from slipway.orchestrator import Orchestrator

Call = Callable[..., Result]
Process = Callable[..., subprocess.CompletedProcess[str]]
FileWriter = Callable[..., str]

UNPRIVILEGED = (
    ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search")
    if os.geteuid() == 0
    else ()
)
"""Root is heeded by no permission: have the process give that up."""


def names(result: Result) -> list[str]:
    return [one["name"] for one in json.loads(result.stdout)]


@pytest.mark.usefixtures("empty")
def test_state_before_or_after_the_command_counts_more_than_the_environment(
    slipway: Call, run_file: FileWriter, tmp_path: Path
) -> None:
    state = str(tmp_path / "typed")
    assert slipway("run", run_file(), "--state", state).exit_code == 0
    assert names(slipway("--state", state, "list", "--output", "json")) == ["gate", "web"]
    assert names(slipway("--output", "json", "list", "--state", state)) == ["gate", "web"]
    assert names(slipway("--state", str(tmp_path / "no"), "list", "--state", state, "--output", "json")) == [
        "gate",
        "web",
    ]
    assert names(slipway("list", "--output", "json")) == []


@pytest.mark.usefixtures("empty")
def test_db_names_another_database(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    assert slipway("run", run_file(), "--db", url).exit_code == 0
    assert names(slipway("list", "--output", "json", SLIPWAY_DB=url)) == ["gate", "web"]
    assert names(slipway("list", "--output", "json")) == []


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "HOME"])
def test_default_state_directory(variable: str, process: Process, tmp_path: Path) -> None:
    variables = {"SLIPWAY_STATE": "", "XDG_STATE_HOME": "relative/is/ignored", variable: str(tmp_path)}
    assert process("network", "create", "net", **variables).returncode == 0
    inside = "" if variable == "XDG_STATE_HOME" else ".local/state/"
    assert (tmp_path / f"{inside}slipway" / "slipway.db").is_file()


READING: tuple[tuple[str, ...], ...] = (
    ("list",),
    ("show", "web"),
    ("audit",),
    ("console", "web"),
    ("resume",),
    ("delete", "web"),
    ("stop", "web"),
    ("network", "list"),
    ("network", "delete", "net"),
    ("subnet", "show", "sub"),
    ("port", "list"),
    ("security-group", "list"),
    ("quota", "show"),
)


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_state_directory_that_is_not_there_is_said_and_not_made(
    args: tuple[str, ...], slipway: Call, tmp_path: Path
) -> None:
    state = tmp_path / "typo"
    done = slipway(*args, "--state", str(state))
    advice = "`slipway run` makes it, --state names another"
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"slipway: there is no state directory {state}; {advice}\n"
    assert not state.exists()
    said = json.loads(slipway(*args, "--state", str(state), "--output", "json").stdout)
    assert said["error"]["type"] == "DatabaseUnavailable"


def test_no_database_is_made_to_look_into(slipway: Call, tmp_path: Path) -> None:
    done = slipway("list", "--state", str(tmp_path))
    assert (done.exit_code, done.stderr.split(";")[0]) == (
        1,
        f"slipway: there is no slipway.db in the state directory {tmp_path}",
    )
    for url, said in (
        (f"sqlite:///{tmp_path}/typo.db", f"{tmp_path}/typo.db: there is no such database"),
        (f"sqlite:///{tmp_path}/other.db", f"sqlite:///{tmp_path}/other.db: there is no record of Slipway's in it"),
    ):
        (tmp_path / "other.db").touch()
        done = slipway("list", "--db", url)
        assert (done.exit_code, done.stderr) == (2, f"slipway: {said}\n")
    assert not (tmp_path / "typo.db").exists()


def test_a_state_directory_that_is_a_file(slipway: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = slipway("list", "--state", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert done.stderr == (
        f"slipway: the state directory {tmp_path}/file cannot be used: Not a directory; name another with --state\n"
    )
    error = json.loads(slipway("list", "--state", str(tmp_path / "file"), "--output", "json").stdout)["error"]
    assert error["type"] == "DatabaseUnavailable"


def test_places_without_permission(process: Process, run_file: FileWriter, tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert process("run", run_file()).returncode == 0
    (state / "slipway.db").chmod(0o444)
    done = process("delete", "web", before=UNPRIVILEGED)
    assert done.returncode == 1
    text = "it may not be written: its own permissions; `list`, `show`, `audit` and `console` work all the same"
    assert done.stderr == f"slipway: sqlite:///{state}/slipway.db: {text}\n"
    (state / "slipway.db").chmod(0o000)
    done = process("list", before=UNPRIVILEGED)
    assert (done.returncode, done.stderr) == (
        1,
        f"slipway: {state}/slipway.db: it may not be read\n",
    )
    state.chmod(0o000)
    done = process("list", "--state", str(state / "sub"), before=UNPRIVILEGED)
    state.chmod(0o700)
    assert done.returncode == 1
    assert f"slipway: the state directory {state}/sub cannot be used: Permission denied" in done.stderr


@pytest.mark.parametrize("where", ["begin", "middle"])
def test_a_damaged_database(where: str, slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    slipway("run", run_file())
    database = tmp_path / "state" / "slipway.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(database.read_bytes())
    start = 0 if where == "begin" else 4096
    end = start + 8192 if where == "begin" else len(content)
    content[start:end] = b"\x55" * (end - start)
    database.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        (tmp_path / "state" / f"slipway.db{suffix}").unlink(missing_ok=True)
    done = slipway("list")
    assert done.exit_code == 1
    text = "file is not a database" if where == "begin" else "database disk image is malformed"
    advice = "put a backup in its place, or name another one with --db"
    told = f"it is damaged, or no database of Slipway's ({text}); {advice}"
    assert done.stderr == f"slipway: sqlite:///{database}: {told}\n"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nonsense", "nonsense: not a database URL that can be used: there is no :// in it"),
        (
            "foo://host/x",
            "foo://host/x: not a database URL that can be used: the record is in SQLite (sqlite:///FILE) or ",
        ),
        (
            "mysql://u:secret@host/x",
            "mysql://u:***@host/x: not a database URL that can be used: the record is in SQLite",
        ),
        ("sqlite+nosuch:///x", "sqlite+nosuch:///x: not a database URL that can be used: Can't load plugin"),
        ("sqlite+pysqlcipher:///x", "sqlite+pysqlcipher:///x: its driver, the Python module pysqlcipher3, is not inst"),
        ("postgresql://u:secret@h:port/x", "postgresql://u:***@h:port/x: not a database URL that can be used: invalid"),
        ("sqlite://host/x", "sqlite://host/x: not a database URL that can be used: Invalid SQLite URL"),
        ("sqlite:///{place}/x?timeout=soon", "sqlite:///{place}/x?timeout=***: not a database URL that can be used"),
        ("sqlite:///{place}/x?colour=red", "sqlite:///{place}/x?colour=***: not a database URL that can be used"),
        ("sqlite:///{place}", "{place}: it is not a file"),
        ("foo://user:secret@host/x", "foo://user:***@host/x: not a database URL"),
        ("sqlite:////no/such/dir/x.db", "/no/such/dir/x.db: the directory does not exist"),
    ],
)
def test_a_database_url_that_cannot_be_used(url: str, text: str, slipway: Call, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    done = slipway("list", "--db", url.format(place=tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"slipway: {text.format(place=tmp_path)}")
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("empty")
def test_a_newer_database(slipway: Call, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "state" / "slipway.db")
    connection.execute("UPDATE meta SET schema_version = 99")
    connection.commit()
    connection.close()
    done = slipway("list")
    assert done.exit_code == 1
    assert "written by a newer Slipway" in done.stderr


@pytest.mark.usefixtures("empty")
def test_an_unexpected_error_is_one_line_and_verbose_shows_where(
    slipway: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_given: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(Orchestrator, "select", broken)
    done = slipway("list")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "slipway: KeyError: 'x' (--verbose shows where)\n"
    shown = slipway("list", "--verbose").stderr
    assert "Traceback" in shown
    assert "in broken" in shown
    assert json.loads(slipway("list", "--output", "json").stdout) == {"error": {"type": "KeyError", "message": "'x'"}}


def test_a_reader_that_has_gone_is_no_error(process: Process, run_file: FileWriter) -> None:
    """The run goes on to its end, and nothing is said of it."""
    for args in (("run", run_file()), ("list",), ("list", "--output", "json"), ("show", "web")):
        reader, writer = os.pipe()
        os.close(reader)
        done = process(*args, stdout=writer)
        os.close(writer)
        assert (done.returncode, done.stderr) == (1, "")
    assert process("audit").stdout == "no differences\n"
    assert len(process("list").stdout.splitlines()) == 3


@pytest.mark.usefixtures("empty")
def test_an_output_that_cannot_be_written_is_one_line(process: Process) -> None:
    for args in (("list",), ("list", "--output", "json"), ("audit",)):
        full = os.open("/dev/full", os.O_WRONLY)
        done = process(*args, stdout=full)
        os.close(full)
        assert (done.returncode, done.stderr) == (
            1,
            "slipway: the output cannot be written: No space left on device\n",
        )


def test_a_closed_output_is_no_error(process: Process, run_file: FileWriter) -> None:
    closed = ("sh", "-c", 'exec "$0" "$@" >&-')
    assert process("run", run_file(), before=closed).returncode == 0
    assert process("list", before=closed).returncode == 0
