"""Instances say how large they are, projects have counters of them, and lists have an index."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from slipway.states.migrations.operations import operations

_SIZE = sa.text("UPDATE instances SET vcpus = :vcpus, memory = :memory, disk = :disk WHERE id = :id")
_COUNTERS = (
    "INSERT INTO instance_quotas (project, instances_used, vcpus_used, memory_used, disk_used) "
    "SELECT project, COUNT(*), SUM(vcpus), SUM(memory), SUM(disk) FROM instances WHERE vm_state != 'DELETED' "
    "GROUP BY project"
)


def upgrade(tx: sa.Connection) -> None:
    """No project has a limit. A request that cannot be read counts as one without size, and so it is released."""
    change = operations(tx)
    for name in ("vcpus", "memory", "disk"):
        change.add_column("instances", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    change.create_index("instances_listed", "instances", ["project", "name", "id"])
    for row in tx.exec_driver_sql("SELECT id, request FROM instances WHERE vm_state != 'DELETED'").all():
        if (size := _size(row.request)) is not None:
            tx.execute(_SIZE, {"id": row.id, **size})
    tx.exec_driver_sql(_COUNTERS)


def _size(request: bytes | str) -> dict[str, int] | None:
    try:
        found = msgspec.json.decode(request)
        flavor = found["flavor"]
        disks = sum(disk for disk in found.get("disks", ()) if isinstance(disk, int))
        return {"vcpus": flavor["vcpus"], "memory": flavor["memory"], "disk": flavor["disk"] + disks}
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
        return None
