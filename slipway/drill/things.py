"""What exists, read from the files and from SQLite by themselves and by no code that a drill puts to the test."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from slipway.drill.records import KEPT, kept_rows

Row = Mapping[str, Any]

TABLES = (
    "claims",
    "networks",
    "subnets",
    "allocation_pools",
    "ports",
    "allocations",
    "security_groups",
    "security_group_rules",
    "port_security_groups",
)
"""The tables whose rows are things that a build or a run file makes."""
SUMS = ("hosts", "quotas", "free_ranges")
"""The tables that follow from the others."""
ROUTING = ("routers", "floating_ips")
"""The tables whose rows have ports of their own, which are of no instance."""
RECORD = ("instances", "effects", "events", "runs")
"""The tables of the record, which keep what is over."""

_KEYS = {
    "claims": ("instance_id", "host"),
    "allocation_pools": ("subnet_id", "first"),
    "allocations": ("subnet_id", "address"),
    "port_security_groups": ("port_id", "security_group_id"),
}
_DATABASE = ("slipway.db", "slipway.db-wal")
_NO_THINGS = (*_DATABASE, KEPT, "slipway.db-shm", "state-id", "world/version.json")

SET_UP = ("networks", "subnets", "allocation_pools", "security_groups", "security_group_rules")
"""The tables that only what comes before the first instance writes."""


@dataclass(frozen=True)
class Things:
    """All there is: the rows of every table, and the content of every file of the world by its path."""

    rows: Mapping[str, Sequence[Row]]
    files: Mapping[str, str]
    raw: Mapping[str, bytes] = field(default_factory=dict)
    """The database's own files, byte by byte: with its log, and with what it has deleted and not written over."""

    @property
    def stuck(self) -> bool:
        """Whether anything on record could not be undone."""
        return any(row["state"] == "stuck" for row in self.rows["effects"])

    @cached_property
    def by_name(self) -> dict[str, str]:
        """Each thing that a build or a run file makes, with all that is to be said of it."""
        named = {f"file {path}": content for path, content in self.files.items()}
        for table in TABLES:
            for row in self.rows.get(table, ()):
                key = "/".join(str(row[column]) for column in _KEYS.get(table, ("id",)))
                named[f"{table} {key}"] = msgspec.json.encode(row).decode()
        return named

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All of it, and where every instance and effect stands: what must be the same when nothing was to be done."""
        standing = [(row["id"], row["vm_state"], row["task_state"]) for row in self.rows["instances"]]
        effects = sorted((row["key"], row["state"]) for row in self.rows["effects"])
        sums = {table: [tuple(row.values()) for row in self.rows.get(table, ())] for table in SUMS}
        return {**self.by_name, "instances": standing, "effects": effects, **sums}

    def without(self, instances: Sequence[Row]) -> Things:
        """The same without what those of these instances had that are deleted by now."""
        gone = {row["id"] for row in instances if row["vm_state"] == "DELETED"}
        if not gone:
            return self
        # The server's port goes with the last that it serves.
        owned = {*gone, "network:dhcp"}
        gone |= {row["id"] for row in self.rows.get("ports", ()) if {row["device_id"], row["device_owner"]} & owned}

        def stays(text: str) -> bool:
            return not any(one in text for one in gone)

        rows = {table: [row for row in self.rows[table] if stays(repr(row))] for table in self.rows}
        return Things(
            {**rows, "instances": self.rows["instances"]},
            {path: text for path, text in self.files.items() if stays(path + text)},
        )

    def bearing(self, ids: Sequence[str]) -> dict[str, Any]:
        """What belongs to these instances, and where they and their effects stand."""
        found: dict[str, Any] = {
            name: content for name, content in self.by_name.items() if any(one in name or one in content for one in ids)
        }
        for table in ("instances", "effects"):
            for row in self.rows[table]:
                if (row["instance_id"] if table == "effects" else row["id"]) in ids:
                    found[f"{table} {row.get('key', row.get('name'))}"] = (row.get("state"), row.get("vm_state"))
        return found


def look(state: Path) -> Things:
    """Everything below a state directory, where what is in a database was kept before. Lock files and the world's
    version are left out."""
    if (kept := kept_rows(state)) is not None:
        known = {table: kept.get(table, ()) for table in (*TABLES, *SUMS, *ROUTING, *RECORD)}
        return Things(known, _files(state), {KEPT: b"".join(_bytes_of(kept))})
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = {table: _rows(db, table) for table in (*TABLES, *SUMS, *ROUTING, *RECORD) if table in present}
    raw = {path: (state / path).read_bytes() for path in _DATABASE if (state / path).exists()}
    return Things(rows, _files(state), raw)


def _rows(db: sqlite3.Connection, table: str) -> list[Row]:
    cursor = db.execute(f"SELECT * FROM {table}")
    columns = [column for column, *_ in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def _bytes_of(kept: Mapping[str, Sequence[Row]]) -> Iterator[bytes]:
    """All values of all rows, in which a secret may be."""
    for rows in kept.values():
        for row in rows:
            yield from (value if isinstance(value, bytes) else str(value).encode() for value in row.values())


def _files(state: Path) -> dict[str, str]:
    found = {}
    for directory, _, names in os.walk(state):
        where = os.path.relpath(directory, state)
        for name in names:
            path = name if where == "." else f"{where}/{name}"
            if name != ".lock" and path not in _NO_THINGS:
                with open(f"{directory}/{name}", "rb", buffering=0) as file:
                    found[path] = file.read().decode(errors="replace")
    return found


def set_up(now: Things) -> Things:
    """What a run file's networks made of a world in which there was nothing, as it is without any instance."""
    ports = [
        {**row, "device_id": "", "device_owner": "", "binding_host_id": ""} for row in now.rows["ports"] if row["name"]
    ]
    mine = {row["id"] for row in ports}
    parts = {t: [r for r in now.rows[t] if r["port_id"] in mine] for t in ("allocations", "port_security_groups")}
    tables = {table: now.rows[table] for table in SET_UP}
    return Things({**tables, **parts, "ports": ports, "instances": []}, {})
