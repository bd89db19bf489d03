#!/usr/bin/env bash
# isodate 0.7.2. Durations of months and years, as ISO 8601 allows them ("P1M"), asked for their seconds.
# Guess: an error, as for what can't be known: a month has no fixed length. Or 30 days, as many take it.
# Behaviour: such a duration hands what it doesn't have on to a timedelta of its other parts. total_seconds(), .days and .seconds
#   leave years and months out: a term of a month is over at once, one of a year and a day after a day. Comparing does fail.
# Seen: P1M: total_seconds() 0.0; P1Y1D: 86400.0, days 1; PT24H: a plain timedelta; P1M < 40 days: TypeError.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check isodate==0.7.2
"$work/bin/python" - <<'PY'
import datetime

from isodate import parse_duration

seen = {}
for text in ("P1M", "P1Y", "P1Y1D", "PT24H"):
    duration = parse_duration(text)
    seen[text] = (type(duration).__name__, duration.total_seconds(), duration.days)
    print(f"{text:<6} {seen[text]}")
try:
    compared = parse_duration("P1M") < datetime.timedelta(days=40)
except TypeError:
    compared = "TypeError"
until = datetime.datetime(2024, 1, 31) + parse_duration("P1M")
print("P1M < 40 days:", compared, "| the last of January and P1M:", until.date())
assert seen == {
    "P1M": ("Duration", 0.0, 0),
    "P1Y": ("Duration", 0.0, 0),
    "P1Y1D": ("Duration", 86400.0, 1),
    "PT24H": ("timedelta", 86400.0, 1),
}, "months and years count now"
assert (compared, until.date().isoformat()) == ("TypeError", "2024-02-29")
PY
