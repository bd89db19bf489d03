"""One statement that SQLAlchemy has only per database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles


def insert_if_absent(table: sa.Table) -> sa.Insert:
    """An insert that does nothing when a row is there already; the row count says which. SQLite and PostgreSQL."""
    return _InsertIfAbsent(table).execution_options(preserve_rowcount=True)


class _InsertIfAbsent(sa.Insert):
    inherit_cache = True


@compiles(_InsertIfAbsent)
def _compile(statement: _InsertIfAbsent, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(statement, **options)} ON CONFLICT DO NOTHING"
