"""The record past Slipway: a file of SQLite's, or, in a run with `--db postgresql`, the database that stands for it.

There the file has nothing but that database's name. A file of SQLite's that is there already stays what it is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from tests.postgresql import PostgreSQL

VARIABLE = "SLIPWAY_TESTS_POSTGRESQL"
"""Has the URL of a database whose server has the record; its `{}` stands for the name of a database."""
TEMPLATE = "slipway_template"
"""The name of the database that all others are copies of."""
_MARK = b"postgresql "


def on_postgresql() -> bool:
    """Whether the record is in PostgreSQL."""
    return VARIABLE in os.environ


def opened(path: str | os.PathLike[str], **options: Any) -> sqlite3.Connection:
    """A connection to the record that has its place there, which is as that of `sqlite3` in what the tests use."""
    name = _name_in(path) if on_postgresql() else None
    return sqlite3.connect(path, **options) if name is None else cast(sqlite3.Connection, _Connection(name))


def kept(state: Path) -> bytes:
    """All that is on record in a state directory: SQLite's files as they are, or what each row of the database has."""
    name = _name_in(state / "slipway.db") if on_postgresql() else None
    if name is None:
        return b"".join(path.read_bytes() for path in sorted(state.glob("slipway.db*")))
    with closing(_Connection(name)) as db:
        tables = [table for (table,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return str({table: db.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(tables)}).encode()


class _Connection:
    """As much of sqlite3's as the tests use; `?` stands for a value."""

    def __init__(self, name: str) -> None:
        import psycopg

        self._connection = psycopg.connect(_url(name))
        self.isolation_level = ""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        told = statement.replace("%", "%%").replace("?", "%s") if values else statement
        return self._connection.execute(told.encode(), values or None)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self._connection.commit()
        else:
            self._connection.rollback()

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def move_to_postgresql(store: type[Any]) -> None:
    """Have a store on an SQLite file work on the database that stands for that file."""
    from slipway.states import sqlitefile
    from slipway.states.urls import parsed_url

    begin = store.__init__
    if begin.__name__ == "begin_there":
        return

    def begin_there(self: Any, url: str, **options: Any) -> None:
        parsed = parsed_url(url)
        path = sqlitefile.path_of(parsed) if parsed.get_backend_name() == "sqlite" else None
        if path is None:
            begin(self, url, **options)
            return
        make = options.get("make", True)
        sqlitefile.make_private(path, make=make)
        name, new = _begun(path) if make else (_name_in(path), False)
        begin(self, url if name is None else _url(name), **options)
        self.is_new = self.is_new or new

    store.__init__ = begin_there


def drill_on_postgresql(plan: type[Any]) -> None:
    """Have a drill whose record has no place of its own keep it on the same server."""
    begin = plan.__init__
    if begin.__name__ == "begin_there":
        return

    def begin_there(self: Any, *given: Any, database: str | None = None, **more: Any) -> None:
        begin(self, *given, database=database or _url("postgres"), **more)

    plan.__init__ = begin_there


MOVED: Mapping[str, Callable[[Any], None]] = {
    "slipway.states.store": lambda module: move_to_postgresql(module.Store),
    "slipway.drill.bench": lambda module: drill_on_postgresql(module.Plan),
    "slipway.drill.workflows.plan": lambda module: drill_on_postgresql(module.FlowPlan),
}
"""What is done to each module that says where a record is."""


def python_path(*first: str | Path) -> str:
    """PYTHONPATH of a Python that a test starts elsewhere: Slipway, and with it its record, after those directories."""
    paths = (*map(str, first), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return os.pathsep.join(filter(None, paths))


def copy(source: Path, target: Path) -> None:
    """Copy a directory to where none is, with the records that are in it; nobody has them open.

    A record has the name of the one that was there before: a store that knows the place goes on with it.
    """
    before = {path: name for name, path in _logged()} if on_postgresql() else {}
    if on_postgresql():
        drop_below(target)
    shutil.copytree(source, target)
    for path in target.rglob("*.db") if on_postgresql() else ():
        if (name := _name_in(path)) is not None:
            path.write_bytes(_MARK + _copied(name, path, before.get(str(path))).encode())


def copy_file(source: Path, target: Path) -> None:
    """Copy a record to a place of its own or over another one; nobody has either open."""
    name = _name_in(source) if on_postgresql() else None
    if name is None:
        shutil.copy(source, target)
    else:
        target.write_bytes(_MARK + _copied(name, target).encode())


def drop_below(directory: Path) -> None:
    """Drop the databases whose files are below it, or are gone."""
    kept = []
    for name, path in _logged():
        if Path(path).is_relative_to(directory) or not os.path.exists(path):
            _tell(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        else:
            kept.append(f"{name} {path}\n")
    _log().write_text("".join(kept))


def _begun(path: str) -> tuple[str | None, bool]:
    """The name of the database in the place of a file, made if the file is empty, and whether it was made now."""
    with open(path, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.read(1):
            return _name_in(path), False
        name = _copied(TEMPLATE, path)
        import psycopg

        with psycopg.connect(_url(name)) as connection:
            connection.execute("UPDATE meta SET installation = %s", (str(uuid.uuid4()),))
        file.write(_MARK + name.encode())
    return name, True


def _copied(name: str, path: str | os.PathLike[str], new: str | None = None) -> str:
    """The name of a new database, any by default, that is a copy of that one, for the file at `path`."""
    new = new or f"t{uuid.uuid4().hex}"
    _tell(f"CREATE DATABASE {new} TEMPLATE {name}")
    with _log().open("a") as log:
        log.write(f"{new} {os.path.abspath(path)}\n")
    return new


def _name_in(path: str | os.PathLike[str]) -> str | None:
    try:
        with open(path, "rb") as file:
            text = file.read(100)
    except OSError:
        return None
    return text.removeprefix(_MARK).decode() if text.startswith(_MARK) else None


def _url(name: str) -> str:
    return os.environ[VARIABLE].replace("{}", name)


def _log() -> Path:
    """The databases that were made by this worker of pytest's, and what it started, each with its file."""
    return Path(os.environ[f"{VARIABLE}_LOGS"], os.environ.get("PYTEST_XDIST_WORKER", "main"))


def _logged() -> list[tuple[str, str]]:
    lines = _log().read_text().splitlines() if _log().exists() else ()
    return [(name, path) for name, path in (line.split(" ", 1) for line in lines)]


def _tell(statement: str) -> None:
    import psycopg

    with psycopg.connect(_url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def keep_here() -> None:
    """Have a worker of pytest's keep the record there: pytest loads Slipway, which has a plugin of its, by itself, past
    `sitecustomize`."""
    for name, move in MOVED.items():
        move(import_module(name))


@contextmanager
def kept_in(server: PostgreSQL) -> Iterator[None]:
    """Have this process, when it first loads the store, and all that it starts keep the record there."""
    from slipway.drivers.network.embedded.common import tables  # noqa: F401 - its tables are among them
    from slipway.states.store import Store

    server.execute(f"CREATE DATABASE {TEMPLATE}")
    Store(server.url(TEMPLATE)).close()
    here = Path(__file__).parent
    os.environ[VARIABLE] = server.url("{}")
    os.environ[f"{VARIABLE}_LOGS"] = str(server.directory)
    paths = [str(here / "onpostgresql"), str(here.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    keep_here()
    yield
