"""What must hold of a run that was drilled, judged from the rows and from what is outside, by no code of runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import quote

from slipway.drill.problem import Problem
from slipway.drill.things import Row, Things
from slipway.flows.tasks.instances import DeleteInstance

_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "STUCK"})
_SHORTEST = 6
"""Signs that a text must have to be looked for."""


def standing(now: Things) -> Iterator[tuple[str, str]]:
    """The state of each effect of a run, by its point: `make[0]`, `inner.make[0]`."""
    runs = {row["id"]: row for row in now.rows.get("runs", ())}
    for row in now.rows["effects"]:
        run = runs.get(row["run_id"])
        if run is not None and row["instance_id"] is None:
            step = row["step"] if run["parent_id"] is None else f"{run['name']}.{row['step']}"
            yield f"{step}[{row['slot']}]", row["state"]


def of_the_record(now: Things, lasting: frozenset[str]) -> Iterator[Problem]:
    """What cannot be, whatever went wrong."""
    whole = list(_whole(now))
    if len(whole) > 1:
        yield Problem("A7", f"there are {len(whole)} runs under one idempotency key")
    paused = any(row["state"] == "PAUSED" for row in whole)
    for row in now.rows["runs"]:
        if row["state"] not in _ENDED and not (paused and row["state"] in ("PAUSED", "SUCCEEDED")):
            yield Problem("A1", f"run {_name(row)} is left {row['state']}")
        if row["state"] == "PAUSED" and row["worker"] is not None:
            yield Problem("A1", f"run {_name(row)} is PAUSED, and a worker holds it")
    yield from _effects(now, lasting)


def _effects(now: Things, lasting: frozenset[str]) -> Iterator[Problem]:
    states = {row["id"]: row["state"] for row in now.rows["runs"]}
    of = [states.get(row["run_id"], "") for row in now.rows["effects"]]
    waits = {row["waits_at"] for row in now.rows["runs"]}
    for row, state in zip(now.rows["effects"], of, strict=True):
        if row["instance_id"] is not None:
            continue
        point = f"{row['step']}[{row['slot']}]"
        stays = any(one == point or one.endswith(f".{point}") for one in lasting)
        if row["state"] == "intended" and row["key"] not in waits and not stays and row["kind"] != "pause":
            yield Problem("A2", f"the ledger says that {point} is still going on, and its run is {state}")
        if row["state"] == "stuck" and state in _ENDED - {"STUCK"}:
            yield Problem("A3", f"{point} is stuck, and its run is {state}")
        if row["state"] == "done" and state in ("FAILED", "CANCELLED") and not stays:
            yield Problem("A2", f"{point} is not undone, and its run is {state}")


def _whole(now: Things) -> Iterator[Row]:
    """The runs that are part of no other, but for what they have done to instances."""
    return (row for row in now.rows["runs"] if row["parent_id"] is None and row["instance_id"] is None)


def _name(row: Row) -> str:
    return f"{row['name']} {row['id'][:8]}"


def deleted(now: Things, before: Things, *, by_others: bool) -> list[Row]:
    """Those of the instances of before that steps of the run deleted, or others may have, as they were."""
    gone = {row["id"] for row in now.rows["instances"] if row["vm_state"] == "DELETED"}
    were = [row for row in before.rows["instances"] if row["id"] in gone and row["vm_state"] != "DELETED"]
    steps = sum(row["kind"] == DeleteInstance.kind for row in now.rows["effects"])
    return were if by_others or len(were) <= steps else []


def no_likeness(now: Things, were: Sequence[Row]) -> Iterator[Problem]:
    """Those of the instances that were deleted in whose place is none like it: a deletion has no other way back."""
    there = [_like(row) for row in now.rows["instances"]]
    for row in were:
        if _like(row) not in there:
            yield Problem("A8", f"instance {row['name']} was deleted, and there is none like it")


def _like(row: Row) -> tuple[object, ...]:
    return tuple(row[column] for column in ("project", "name", "vm_state", "task_state", "host", "addresses"))


def cause(now: Things) -> str:
    """What the fault of the run says, with all that went wrong after it."""
    fault = next((row["fault"] for row in _whole(now)), None)
    return str(json.loads(fault)["message"]) if fault else ""


def fingerprint(now: Things) -> dict[str, object]:
    """All of the record and of the world that is the same where nothing was to be done."""
    record = {
        f"{table} {row.get('key', row.get('seq', row.get('id')))}": tuple(row.values())
        for table in ("runs", "effects", "events")
        for row in now.rows.get(table, ())
    }
    return {**now.by_name, **record}


def bearing(now: Things, ids: Collection[str]) -> dict[str, object]:
    """What of that belongs to these runs and instances."""
    return {name: value for name, value in fingerprint(now).items() if any(one in f"{name} {value}" for one in ids)}


def secrets(now: Things, secrets: Mapping[str, str], log: str) -> Iterator[Problem]:
    """Everywhere that a secret is, as it is or in a form that is as easily read, once nothing is going on.

    What is stuck is to be undone still, and may need it for that.
    """
    if any(row["state"] not in _ENDED - {"STUCK"} for row in now.rows["runs"]):
        return
    for name, value in secrets.items():
        for form, how in forms(value).items():
            where = [path for path, raw in now.raw.items() if form.encode() in raw]
            where += [f"the file {path}" for path, content in now.files.items() if form in content]
            where += ["the log, the events or what was printed"] if form in log else []
            for place in where:
                yield Problem("A10", f"the secret {name} is in {place}{how}")


def forms(value: str) -> dict[str, str]:
    """The secret, what it is in JSON, in a URL, in hexadecimal digits, and in base64 wherever it begins there; each
    with the words for that. A short one is in many texts by chance."""
    raw = value.encode()
    found = {value: "", json.dumps(value)[1:-1]: ", in JSON", quote(value, safe=""): ", as in a URL"}
    found |= {raw.hex(): ", in hexadecimal digits"}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        # The signs at both ends depend on what stands beside it.
        found[whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]] = ", in base64"
    return {form: how if form != value else "" for form, how in found.items() if len(form) >= _SHORTEST}
