#!/usr/bin/env bash
# SQLAlchemy 2.1.9 with Python's sqlite3. rowcount of an UPDATE or DELETE with and without RETURNING.
# Guess: RETURNING adds rows and changes nothing else; where the driver does not know the count, rowcount is -1, as for a SELECT.
# Behaviour: with RETURNING rowcount is 0, before and after its rows are read, though a row was changed. A compare-and-swap that asks
#   for rowcount == 1 takes its own success for another's.
# Seen: rowcount 1 without; with RETURNING 0 and one row; 0 and no row where nothing matched; a SELECT has -1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check sqlalchemy==2.1.9
"$work/bin/python" - <<'PY'
import sqlalchemy as sa

engine = sa.create_engine("sqlite://")
metadata = sa.MetaData()
build = sa.Table("build", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("state", sa.String))
claim = sa.update(build).values(state="claimed")
statements = {
    "update": claim.where(build.c.id == 1),
    "update returning": claim.where(build.c.id == 1).returning(build.c.id),
    "update returning, no match": claim.where(build.c.id == 9).returning(build.c.id),
    "delete returning": sa.delete(build).where(build.c.id == 2).returning(build.c.id),
    "select": sa.select(build.c.id),
}
expected = {
    "update": (1, None, 1),
    "update returning": (0, 1, 0),
    "update returning, no match": (0, 0, 0),
    "delete returning": (0, 1, 0),
    "select": (-1, 1, -1),
}
seen = {}
with engine.begin() as connection:
    metadata.create_all(connection)
    connection.execute(sa.insert(build), [{"state": "new"}, {"state": "new"}])
    for name, statement in statements.items():
        result = connection.execute(statement)
        seen[name] = (result.rowcount, len(result.all()) if result.returns_rows else None, result.rowcount)
        print("{:<27} rowcount {}, rows read {}, rowcount then {}".format(name, *seen[name]))
assert seen == expected, "rows are counted otherwise now"
PY
