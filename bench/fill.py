"""Fills a record with finished builds: copies of the rows that a real one left, with ids and addresses of their own."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bench.common import Builder

Row = Sequence[Any]

# The events of steps come with the effects.
OF_INSTANCE = {
    "instances": "id",
    "effects": "instance_id",
    "events": "step IS NULL AND instance_id",
    "claims": "instance_id",
}
OF_PORT = {"ports": "id", "allocations": "port_id", "port_security_groups": "port_id"}


def fill(directory: Path, builder: Builder, count: int, *, deleted: bool) -> None:
    """Put `count` more instances on record, deleted ones or ACTIVE ones with all that an ACTIVE one has."""
    name = "pattern"
    builder.build_one(name)
    if deleted:
        builder.orchestrator.delete(name)
    with closing(sqlite3.connect(directory / "slipway.db", isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN IMMEDIATE")
        pattern = _Pattern(database, name)
        for table, rows in pattern.rows.items():
            for row in rows:
                statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})"
                database.executemany(statement, (pattern.copy(table, row, number) for number in range(count)))
        if not deleted:
            _take(database, pattern.id, count)
        database.execute("COMMIT")
        broken = database.execute("PRAGMA foreign_key_check").fetchall()
        assert not broken, broken
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Pattern:
    """The rows of one instance, and what in them is its own."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self.id: str = database.execute("SELECT id FROM instances WHERE name = ?", (name,)).fetchone()[0]
        port = database.execute(
            "SELECT id, mac_address, address FROM ports JOIN allocations ON port_id = id WHERE device_id = ?",
            (self.id,),
        ).fetchone()
        self._own = [self.id, f'"{name}"', *(port or ())]
        if port:
            self._own.append(str(IPv4Address(int(port[2], 16))))
        self.rows: dict[str, list[Row]] = {}
        for table, column in (OF_INSTANCE | OF_PORT).items():
            owner = self.id if table in OF_INSTANCE else port[0] if port else None
            self.rows[table] = database.execute(f"SELECT * FROM {table} WHERE {column} = ?", (owner,)).fetchall()
        self._name = name

    def copy(self, table: str, row: Row, number: int) -> Row:
        """The row as the instance with this number would have it; rows are numbered anew by the database."""
        values = [self._replaced(value, number) for value in row]
        return [None, *values[1:]] if table in ("effects", "events") else values

    def _replaced(self, value: Any, number: int) -> Any:
        if isinstance(value, bytes):
            return self._replaced(value.decode(), number).encode()
        if value == self._name:
            return f"old-{number}"
        if not isinstance(value, str):
            return value
        for old, new in zip(self._own, self._others(number), strict=False):
            value = value.replace(old, new)
        return value

    def _others(self, number: int) -> Iterator[str]:
        """What stands in the place of each thing of the pattern's own: the same for all rows of one instance."""
        yield str(uuid.uuid5(uuid.NAMESPACE_OID, f"instance {number}"))
        yield f'"old-{number}"'
        yield str(uuid.uuid5(uuid.NAMESPACE_OID, f"port {number}"))
        yield ":".join(["fa", "17", *(f"{byte:02x}" for byte in number.to_bytes(4, "big"))])
        address = LAST - number
        yield address.packed.hex()
        yield str(address)


LAST = IPv4Address("10.0.255.254")
"""The last address of the pool: copies take theirs from its end, builds from its beginning."""


def _take(database: sqlite3.Connection, pattern: str, count: int) -> None:
    """Make the counters and the free addresses fit `count` more instances like the pattern."""
    database.execute("UPDATE free_ranges SET last = ? WHERE last = ?", ((LAST - count).packed.hex(), LAST.packed.hex()))
    database.execute("UPDATE quotas SET used = used + ? WHERE resource = 'port'", (count,))
    database.execute(
        "UPDATE hosts SET (vcpus_used, memory_used, disk_used) = (SELECT vcpus_used + ?1 * vcpus, memory_used + ?1 *"
        " memory, disk_used + ?1 * disk FROM claims WHERE instance_id = ?2)"
        " WHERE name = (SELECT host FROM claims WHERE instance_id = ?2)",
        (count, pattern),
    )
