#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 15 (Debian 12; a server of its own, on a socket in the temporary folder).
# Guess: 200 * 200 of two parameters is 40000: Python's integers have no size, and the same text with literals gives it.
# Behaviour: each integer goes as the smallest type that holds it, so two small ones are smallints, and PostgreSQL computes in what it
#   is given: the error comes with the values, not with the statement. A larger one beside it, or a cast, makes it well.
# Seen: 100 * 200: 20000; 200 * 200: smallint out of range; 30000 + 30000 too; 30000 + 70000: 100000; %s::int * %s: 40000.
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


def told(statement, *values):
    try:
        return connection.execute(statement, values).fetchone()[0]
    except psycopg.errors.NumericValueOutOfRange as error:
        return str(error).splitlines()[0]


with psycopg.connect(autocommit=True) as connection:
    cases = [
        ("SELECT %s * %s", 100, 200),
        ("SELECT %s * %s", 200, 200),
        ("SELECT 200 * 200",),
        ("SELECT %s + %s", 30000, 30000),
        ("SELECT %s + %s", 30000, 70000),
        ("SELECT %s::int * %s", 200, 200),
    ]
    seen = [told(*case) for case in cases]
for case, answer in zip(cases, seen):
    print(f"{case}: {answer}")
assert seen == [20000, "smallint out of range", 40000, "smallint out of range", 100000, 40000], "integers have another type now"
PY
