#!/usr/bin/env bash
# Alembic 1.20.1 with SQLAlchemy 2.1.9 on SQLite. batch_alter_table() drops one column of a table that has CHECK constraints.
# Guess: the table is copied with all of its constraints but those on the dropped column.
# Behaviour: every CHECK without a name is left out, on the columns that stay as well; only a UserWarning says so. Rows that the
#   schema had refused are taken from then on. CHECKs with a name are kept.
# Seen: before: unnamed and named enforced; after dropping another column: only the named one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check alembic==1.20.1 sqlalchemy==2.1.9
"$work/bin/python" - <<'PY'
import warnings

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

engine = sa.create_engine("sqlite://")
table = "CREATE TABLE t (a INTEGER CHECK (a > 0), b INTEGER CONSTRAINT b_positive CHECK (b > 0), dropped INTEGER)"


def enforced(connection):
    refused = []
    for column in "ab":
        try:
            with connection.begin_nested() as attempt:
                connection.execute(sa.text(f"INSERT INTO t ({column}) VALUES (-1)"))
                attempt.rollback()
        except sa.exc.IntegrityError:
            refused.append(column)
    return refused


with engine.begin() as connection, warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    connection.execute(sa.text(table))
    before = enforced(connection)
    with Operations(MigrationContext.configure(connection)).batch_alter_table("t") as batch:
        batch.drop_column("dropped")
    after = enforced(connection)
print("CHECKs enforced before:", before, "after:", after)
print("warned:", *[str(w.message) for w in caught if "CHECK" in str(w.message)], sep="\n  ")
assert (before, after) == (["a", "b"], ["b"]), "unnamed CHECKs are kept now"
PY
