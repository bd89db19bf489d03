#!/usr/bin/env bash
# SQLAlchemy 2.1.9 on SQLite, and with psycopg 3.3.9 on PostgreSQL 15 (Debian 12; a server of its own, on a socket). A time that knows
#   its zone, in a column of plain DateTime.
# Guess: an error, as the column has no zone; or both databases keep the same wall clock.
# Behaviour: SQLite keeps the digits and drops the zone. PostgreSQL counts the time over to the zone of the session, then drops it: what
#   is on record depends on how the server or the connection is set up, and one time written by two sessions is two.
# Seen: 12:00 at +00:00: SQLite 12:00; PostgreSQL 12:00, 13:00 with Europe/Berlin; 12:00 at +02:00: SQLite 12:00, PostgreSQL 10:00, 11:00.
set -euo pipefail
bin=/usr/lib/postgresql/15/bin
[ -x "$bin/postgres" ] || { echo "needs PostgreSQL 15 (package postgresql-15)"; exit 2; }
work=$(mktemp -d); trap '[ ! -e "$work/data/postmaster.pid" ] || "${as[@]}" "$bin/pg_ctl" --pgdata="$work/data" --mode=immediate stop > /dev/null; rm -rf "$work"' EXIT
as=(env) # PostgreSQL does not run as root
[ "$(id -u)" != 0 ] || { as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); chown nobody "$work"; }
cd "$work"
"${as[@]}" "$bin/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync > /dev/null
"${as[@]}" "$bin/pg_ctl" --pgdata=data --wait --log=log --options="-c listen_addresses= -c fsync=off -k $work" start > /dev/null
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9 "psycopg[binary]==3.3.9"
venv/bin/python - "$work" <<'PY'
import sys
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

HERE = f"postgresql+psycopg://postgres@/postgres?host={sys.argv[1]}"
kept = sa.Table("kept", sa.MetaData(), sa.Column("at", sa.DateTime))


def stored(url, zone, offset):
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        if zone:
            connection.execute(sa.text(f"SET TIME ZONE '{zone}'"))
        kept.create(connection)
        connection.execute(sa.insert(kept).values(at=datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=offset)))))
        return str(connection.execute(sa.select(kept.c.at)).scalar_one().time())


databases = {"SQLite": ("sqlite://", None), "UTC": (HERE, "UTC"), "Europe/Berlin": (HERE, "Europe/Berlin")}
seen = {name: [stored(url, zone, offset) for offset in (0, 2)] for name, (url, zone) in databases.items()}
for name, times in seen.items():
    print(f"{name:<14} 12:00+00:00 is kept as {times[0]}, 12:00+02:00 as {times[1]}")
assert seen == {
    "SQLite": ["12:00:00", "12:00:00"],
    "UTC": ["12:00:00", "10:00:00"],
    "Europe/Berlin": ["13:00:00", "11:00:00"],
}, "zones are dropped otherwise now"
PY
