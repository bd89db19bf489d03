"""What SQLAlchemy has compiled for one database serves all others: the tests open thousands, each with an engine.

An engine has a cache of its own, and fills it anew: a third of all time that tests of builds take.
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.util import LRUCache


def share() -> None:
    """From now on in this process."""
    cache = LRUCache[object, object](10_000)
    # A statement's key has the dialect in it, of which each engine has one, all alike.
    SQLiteDialect_pysqlite.__hash__ = lambda self: 0  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]

    @event.listens_for(Engine, "engine_connect")
    def take_it(connection: Connection) -> None:
        connection.execution_options(compiled_cache=cache)
