#!/usr/bin/env bash
# PostgreSQL 15 (Debian 12; a server of its own, on a socket in the temporary folder) with psycopg 3.3.9. Floats in json and jsonb.
# Guess: a float that is put in a jsonb column comes out as that float, as from a json column; only the order of keys may change.
# Behaviour: jsonb keeps numbers as decimal ones and writes them without an exponent, so floats from 1e16 on come back as integers of
#   Python, 1e300 as one of 301 digits, while 1e15 stays a float; -0.0 loses its sign. JSON's readers tell types by the text.
# Seen: 1e+16 -> 10000000000000000 (int), 1e+300 -> int, 1.5e+16 -> int, 1e+15 -> float, -0.0 -> 0.0; json: all as they were.
set -euo pipefail
bin=/usr/lib/postgresql/15/bin
[ -x "$bin/postgres" ] || { echo "needs PostgreSQL 15 (package postgresql-15)"; exit 2; }
work=$(mktemp -d); trap '[ ! -e "$work/data/postmaster.pid" ] || "${as[@]}" "$bin/pg_ctl" --pgdata="$work/data" --mode=immediate stop > /dev/null; rm -rf "$work"' EXIT
as=(env) # PostgreSQL does not run as root
[ "$(id -u)" != 0 ] || { as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); chown nobody "$work"; }
cd "$work"
"${as[@]}" "$bin/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync > /dev/null
"${as[@]}" "$bin/pg_ctl" --pgdata=data --wait --log=log --options="-c listen_addresses= -c fsync=off -k $work" start > /dev/null
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9"
PGHOST=$work PGUSER=postgres PGDATABASE=postgres venv/bin/python - <<'PY'
import psycopg
from psycopg.types.json import Json, Jsonb

VALUES = (0.1, 100.0, 1e15, 1e16, 1.5e16, 1e300, -0.0)
with psycopg.connect() as connection:
    connection.execute("CREATE TABLE kept (j json, b jsonb)")
    seen = {}
    for value in VALUES:
        row = connection.execute("INSERT INTO kept VALUES (%s, %s) RETURNING j, b", [Json(value), Jsonb(value)]).fetchone()
        seen[repr(value)] = tuple(f"{type(number).__name__} {str(number)[:20]}" for number in row)
for value, (as_json, as_jsonb) in seen.items():
    print(f"{value:<20} json {as_json:<30} jsonb {as_jsonb}")
assert all(as_json == f"float {value}" for value, (as_json, _) in seen.items()), "json changes them, too, now"
assert [as_jsonb for _, as_jsonb in seen.values()] == [
    "float 0.1",
    "float 100.0",
    "float 1000000000000000.0",
    "int 10000000000000000",
    "int 15000000000000000",
    "int 10000000000000000000",
    "float 0.0",
], "floats stay floats now"
PY
