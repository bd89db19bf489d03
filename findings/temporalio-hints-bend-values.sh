#!/usr/bin/env bash
# temporalio 1.35.0. The default converter, which takes what goes into workflows and activities to JSON, and back by the type hints.
# Guess: what does not match its hint is refused, as a text for an int is; what matches comes back as it was.
# Behaviour: 1.5 for an int becomes 1; a text for a list of texts becomes its characters, and a mapping its keys; None passes for
#   anything; fields that a dataclass has not are dropped. A NamedTuple comes back as a list, hint or not. datetime and UUID go
#   through, timedelta, date and Decimal fail.
# Seen: see the table printed.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0
"$work/bin/python" - <<'PY'
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from temporalio.converter import DataConverter

converter = DataConverter.default.payload_converter


class Place(NamedTuple):
    host: str
    slot: int


@dataclass
class Size:
    cores: int


def through(value, hint):
    try:
        [back] = converter.from_payloads(converter.to_payloads([value]), [hint])
        return back
    except TypeError:
        return "TypeError"


moment = datetime(2026, 1, 1, tzinfo=UTC)
# value, hint, the guess, what comes
table = [
    ("1", int, "TypeError", "TypeError"),
    (1.5, int, "TypeError", 1),
    ({"cores": 1.5}, Size, "TypeError", Size(1)),
    ({"cores": 1, "memroy": 2}, Size, "TypeError", Size(1)),
    ("vm1", list[str], "TypeError", ["v", "m", "1"]),
    ({"a": 1}, list[str], "TypeError", ["a"]),
    (None, int, "TypeError", None),
    (Place("h", 1), Place, Place("h", 1), ["h", 1]),
    (moment, datetime, moment, moment),
    (UUID(int=1), UUID, UUID(int=1), UUID(int=1)),
    (timedelta(1), timedelta, timedelta(1), "TypeError"),
    (date(2026, 1, 1), date, date(2026, 1, 1), "TypeError"),
    (Decimal("1.10"), Decimal, Decimal("1.10"), "TypeError"),
]
seen = [through(value, hint) for value, hint, _, _ in table]
for (value, hint, guess, _), ours in zip(table, seen, strict=True):
    print(f"{value!r} as {getattr(hint, '__name__', hint)}: guess {guess!r}, seen {ours!r}")
assert [(type(one), one) for one in seen] == [(type(one), one) for _, _, _, one in table], "values are bent otherwise now"
PY
