#!/usr/bin/env bash
# oslo.versionedobjects 3.12.0: DateTimeField, through obj_to_primitive() and obj_from_primitive(), as over RPC.
# Guess: the moment comes back as it was.
# Behaviour: microseconds are cut off. A moment with a zone of zoneinfo is written with its local time and "Z", so that it comes back
#   as another one, an hour off in winter's Berlin. A fixed offset, which the field takes and keeps as well, is written as "UTC+02:00"
#   behind the time, and obj_from_primitive() itself cannot read that.
# Seen: in UTC 0.678901 s early; in Berlin 0:59:59.321099 late; at +02:00 '2026-01-02T03:04:05UTC+02:00' and a ValueError.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.versionedobjects==3.12.0 tzdata==2026.3
"$work/bin/python" -W ignore - <<'PY'
import datetime
import zoneinfo

from oslo_versionedobjects import base, fields


@base.VersionedObjectRegistry.register
class Build(base.VersionedObject):
    fields = {"began_at": fields.DateTimeField()}


def there_and_back(zone):
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=zone)
    sent = Build(began_at=moment).obj_to_primitive()
    written = sent["versioned_object.data"]["began_at"]
    try:
        back = Build.obj_from_primitive(sent).began_at - moment
    except ValueError as error:
        back = type(error).__name__
    print(f"{moment.isoformat()} is sent as {written!r}, and comes back:", back)
    return written, back


utc = there_and_back(datetime.UTC)
offset = there_and_back(datetime.timezone(datetime.timedelta(hours=2)))
named = there_and_back(zoneinfo.ZoneInfo("Europe/Berlin"))
assert utc == ("2026-01-02T03:04:05Z", datetime.timedelta(microseconds=-678901)), "microseconds are kept now"
assert offset == ("2026-01-02T03:04:05UTC+02:00", "ValueError"), "offsets are sent otherwise now"
assert named == ("2026-01-02T03:04:05Z", datetime.timedelta(minutes=59, seconds=59, microseconds=321099)), "zones count now"
PY
