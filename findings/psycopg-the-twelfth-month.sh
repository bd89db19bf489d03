#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 15 (Debian 12; a server of its own, on a socket in the temporary folder). Intervals of months and years.
# Guess: a timedelta holds no months, so an error; or else what PostgreSQL itself takes for equal stays equal.
# Behaviour: a month is 30 days, and twelve of them are 365: eleven months are 330 days, one more adds 35. PostgreSQL, which takes a year
#   for 360 days when it compares, has it less than 365 days, Python has both the same; order and sums differ on the two sides.
# Seen: 11 months 330, 12 months 365, 24 months 730; '12 months' = '360 days' is true in SQL and false in Python, with 365 the other way.
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

with psycopg.connect() as connection:
    lengths = ("1 month", "11 months", "12 months", "24 months")
    days = {length: connection.execute("SELECT %s::interval", [length]).fetchone()[0].days for length in lengths}
    pairs = [("12 months", "360 days"), ("12 months", "365 days")]
    seen = {}
    for pair in pairs:
        ours, others, equal = connection.execute("SELECT a, b, a = b FROM (SELECT %s::interval AS a, %s::interval AS b) AS pair", pair).fetchone()
        seen[pair] = (equal, ours == others)
for length, number in days.items():
    print(f"{length}: {number} days")
for pair, (in_sql, in_python) in seen.items():
    print(*pair, "equal in SQL:", in_sql, "in Python:", in_python)
assert days == {"1 month": 30, "11 months": 330, "12 months": 365, "24 months": 730}, "months have another length now"
assert list(seen.values()) == [(True, False), (False, True)], "both sides agree now"
PY
