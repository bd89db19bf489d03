"""Statements that come again, told to SQLite past SQLAlchemy's execution, which costs ten times what SQLite's does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

_Process = Callable[[Any], Any] | None
_NONE: dict[str, Any] = {}
_SHAPES = (sa.Select, sa.Insert, sa.Update, sa.Delete)


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a statement that gives no rows."""

    rowcount: int


class QuickConnection(sa.Connection):
    """A connection to SQLite that learns a statement when it comes again, and tells SQLite of it by itself since then.

    Whatever is more than one statement with its values is SQLAlchemy's as ever; and all is where somebody listens.
    """

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._sqlite: Any = self.connection.driver_connection

    def tell(self, text: str) -> None:
        """Have SQLite carry out a statement as it stands here. Raises `DBAPIError`."""
        try:
            self._sqlite.execute(text)
        except sqlite3.Error as error:
            raise DBAPIError.instance(text, (), error, sqlite3.Error, dialect=self.dialect) from error

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """As SQLAlchemy's. What it gives has rows, or else a `rowcount` alone."""
        if parameters is None:
            parameters = _NONE
        if type(parameters) is not dict or execution_options is not None or self.dispatch.before_cursor_execute:
            return super().execute(statement, parameters, execution_options=execution_options)
        known = _KNOWN.get(statement)
        if known is None:
            # One that is made anew for each execution never gets beyond this.
            _KNOWN[statement] = {}
            return super().execute(statement, parameters)
        names = tuple(parameters)
        compiled = known.get(names)
        if compiled is not None:
            return compiled.execute(self._sqlite, parameters, self.dialect)
        result = super().execute(statement, parameters)
        if names not in known:
            known[names] = _learnt(statement, result.context, names, self.dialect)
        return result

    def scalar(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """The first column of the first row, None where there is no row."""
        return self.execute(statement, parameters, execution_options=execution_options).scalar()

    def scalars(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """The first column of each row."""
        return self.execute(statement, parameters, execution_options=execution_options).scalars()


class _Compiled:
    """A statement's text, how its values are made what SQLite takes, and its rows what we read."""

    def __init__(
        self, text: str, values: Sequence[tuple[str, Any, _Process]], columns: Sequence[_Process] | None
    ) -> None:
        """`values`: in their order the names, what is taken where none is given, and how each is made ready."""
        self._text, self._values = text, values
        self._columns = columns
        self._plain = columns is not None and not any(columns)
        self._keys: SimpleResultMetaData | None = None

    def execute(self, connection: Any, values: Mapping[str, Any], dialect: sa.Dialect) -> Any:
        """Raises `DBAPIError` as SQLAlchemy does."""
        told = [
            values.get(name, default) if process is None else process(values.get(name, default))
            for name, default, process in self._values
        ]
        try:
            cursor = connection.execute(self._text, told)
            rows = None if self._columns is None else cursor.fetchall()
        except sqlite3.Error as error:
            raise DBAPIError.instance(self._text, told, error, sqlite3.Error, dialect=dialect) from error
        if rows is None or self._columns is None:
            return Changed(cursor.rowcount)
        if self._keys is None:
            self._keys = SimpleResultMetaData([column[0] for column in cursor.description])
        if not self._plain:
            columns = self._columns
            rows = [
                tuple([v if process is None else process(v) for v, process in zip(row, columns, strict=True)])
                for row in rows
            ]
        return IteratorResult(self._keys, iter(rows))


_KNOWN: WeakKeyDictionary[Any, dict[tuple[str, ...], _Compiled | None]] = WeakKeyDictionary()
"""What is compiled by now, for each statement and the names of its values; None: it stays SQLAlchemy's."""


def _learnt(statement: Any, context: Any, names: tuple[str, ...], dialect: sa.Dialect) -> _Compiled | None:
    """What SQLAlchemy has compiled for an execution; None where it does more for it than to tell SQLite of it."""
    compiled = context.compiled
    if not isinstance(statement, _SHAPES) or not isinstance(compiled, SQLCompiler):
        return None
    columns = list(statement.exported_columns)
    if (
        # How many values a list has is known by each execution alone.
        compiled.post_compile_params - compiled.literal_execute_params
        or compiled.escaped_bind_names
        or compiled.insert_prefetch
        or compiled.update_prefetch
        or bool(columns) != bool(isinstance(statement, sa.Select) or compiled.effective_returning)
    ):
        return None
    (taken,) = context.compiled_parameters
    values = []
    for bind in (compiled.binds[name] for name in compiled.positiontup or ()):
        name = compiled.bind_names[bind]
        written = bind in compiled.literal_execute_params
        if bind.callable or (bind.required and name not in names) or (written and name in names):
            return None
        if written:
            continue
        values.append((name, taken[name], bind.type.dialect_impl(dialect).bind_processor(dialect)))
    read = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    return _Compiled(context.statement, values, read or None)
