#!/usr/bin/env bash
# croniter 7.0.0 with a time zone of zoneinfo, over the nights on which clocks change.
# Guess: as cron(8) does it: a job of one fixed time runs once a day, also when 02:30 comes twice or not at all.
# Behaviour: when clocks go back the daily job is due twice, an hour apart. When they go forward, one of every second hour is due at
#   03:00, in the place of 02:00, and at 04:00 again; a daily one at 02:30 is due at 03:00.
# Seen: 30 2 * * * on 27 October 2024: 02:30+02:00 and 02:30+01:00; 0 */2 * * * on 31 March 2024: 03:00, 04:00, 06:00.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check croniter==7.0.0 tzdata==2025.2
"$work/bin/python" - <<'PY'
import datetime
import zoneinfo

from croniter import croniter

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def due(line, year, month, day, times):
    moments = croniter(line, datetime.datetime(year, month, day, 0, 30, tzinfo=BERLIN))
    return [moments.get_next(datetime.datetime).isoformat(timespec="minutes") for _ in range(times)]


twice, instead, hours = due("30 2 * * *", 2024, 10, 27, 3), due("30 2 * * *", 2024, 3, 31, 2), due("0 */2 * * *", 2024, 3, 31, 3)
print("back:   ", *twice, "\nforward:", *instead, "\nforward:", *hours)
assert twice == ["2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", "2024-10-28T02:30+01:00"], "once now"
assert instead == ["2024-03-31T03:00+02:00", "2024-04-01T02:30+02:00"]
assert hours == ["2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00", "2024-03-31T06:00+02:00"], "no job moves to 03:00 now"
PY
