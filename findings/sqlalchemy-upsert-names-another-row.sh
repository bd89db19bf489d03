#!/usr/bin/env bash
# SQLAlchemy 2.1.9 with SQLite. inserted_primary_key after an INSERT that met a row which is there already.
# Guess: the key of the row that it met, or None, as nothing was inserted.
# Behaviour: the key of whatever this connection inserted last: another row, and of another table, too. It is so after ON CONFLICT DO
#   NOTHING, DO UPDATE and OR IGNORE alike. SQLite's "last insert rowid" is not reset, and is handed on as if it were an answer.
# Seen: the row "a" has the key 1; inserted_primary_key says (70,), the key of a row of the other table.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check sqlalchemy==2.1.9
"$work/bin/python" - <<'PY'
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

engine = sa.create_engine("sqlite://")
metadata = sa.MetaData()
tag, other = (
    sa.Table(table, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String, unique=True))
    for table in ("tag", "other")
)
statements = {
    "DO NOTHING": insert(tag).values(name="a").on_conflict_do_nothing(),
    "DO UPDATE": insert(tag).values(name="a").on_conflict_do_update(index_elements=["name"], set_={"name": "a"}),
    "OR IGNORE": sa.insert(tag).prefix_with("OR IGNORE").values(name="a"),
    "RETURNING": insert(tag).values(name="a").on_conflict_do_nothing().returning(tag.c.id),
}
seen = {}
with engine.begin() as connection:
    metadata.create_all(connection)
    connection.execute(sa.insert(tag).values(name="a"))
    connection.execute(sa.insert(other).values(id=70, name="z"))
    for name, statement in statements.items():
        result = connection.execute(statement)
        seen[name] = result.all() if result.returns_rows else tuple(result.inserted_primary_key)
    rows = connection.execute(sa.select(tag)).all()
print("rows of the table:", rows, "| keys told:", seen)
assert rows == [(1, "a")]
assert seen == {"DO NOTHING": (70,), "DO UPDATE": (70,), "OR IGNORE": (70,), "RETURNING": []}, "another key is told now"
PY
