#!/usr/bin/env bash
# Alembic 1.20.1 with SQLAlchemy 2.1.9 on SQLite, foreign keys on. batch_alter_table() drops one column of a table others refer to.
# Guess: a migration of the parent's columns leaves the rows of other tables alone, or is refused.
# Behaviour: the parent is copied, dropped and renamed. Dropping a table deletes its rows first, so ON DELETE does what it says: rows
#   of children go, or lose their parent, with no word of warning, and the foreign keys are sound afterwards.
# Seen: before: 2 of each; after dropping a column of the parent: parents 2, CASCADE children 0, SET NULL children with a parent 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check alembic==1.20.1 sqlalchemy==2.1.9
"$work/bin/python" - <<'PY'
import warnings

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

warnings.simplefilter("error")
engine = sa.create_engine("sqlite://")
tables = (
    "PRAGMA foreign_keys = ON",
    "CREATE TABLE host (id INTEGER PRIMARY KEY, dropped INTEGER)",
    "CREATE TABLE guest (id INTEGER PRIMARY KEY, host INTEGER REFERENCES host (id) ON DELETE CASCADE)",
    "CREATE TABLE note (id INTEGER PRIMARY KEY, host INTEGER REFERENCES host (id) ON DELETE SET NULL)",
    *(f"INSERT INTO {table} VALUES (1, 1), (2, 2)" for table in ("host", "guest", "note")),
)


def count(connection):
    counts = ("host", "guest", "note WHERE host IS NOT NULL")
    return [connection.exec_driver_sql(f"SELECT count(*) FROM {rows}").scalar() for rows in counts]


with engine.connect() as connection:
    for statement in tables:
        connection.exec_driver_sql(statement)
    connection.commit()
    before = count(connection)
    with Operations(MigrationContext.configure(connection)).batch_alter_table("host") as batch:
        batch.drop_column("dropped")
    after = count(connection)
    unsound = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
print("hosts, guests, notes with a host; before:", before, "after:", after, "foreign_key_check:", unsound)
assert (before, after, unsound) == ([2, 2, 2], [2, 0, 0], []), "the children are kept now"
PY
