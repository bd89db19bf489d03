"""What hosts are chosen by can be asked of the database: zone, vCPUs, labels, pinned CPUs, an index in that order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from slipway.model.request import DEFAULT_ZONE
from slipway.states.migrations.operations import operations
from slipway.states.schema import hosts_by_weight, pinned_cpus

_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade(tx: sa.Connection) -> None:
    """What stands in the hosts' entries and in the requests of those on them is written where it can be asked for."""
    change = operations(tx)
    change.add_column("hosts", sa.Column("zone", sa.String, nullable=False, server_default=DEFAULT_ZONE))
    change.add_column("hosts", sa.Column("vcpus", sa.BigInteger, nullable=False, server_default="1"))
    change.add_column("hosts", sa.Column("disabled", sa.Text))
    if tx.dialect.name == "postgresql":
        change.alter_column("hosts", "name", type_=_BYTEWISE)
    for name, spec in tx.execute(sa.text("SELECT name, spec FROM hosts")).all():
        entry = _read(spec)
        tx.execute(
            sa.text("UPDATE hosts SET zone = :zone, vcpus = :vcpus WHERE name = :name"),
            {"name": name, "zone": entry.get("zone", DEFAULT_ZONE), "vcpus": entry.get("vcpus", 1)},
        )
    claimed = sa.text(
        "SELECT claims.host, claims.instance_id, instances.request FROM claims "
        "JOIN instances ON instances.id = claims.instance_id"
    )
    pinned: dict[tuple[str, int], str] = {}
    for host, instance_id, request in tx.execute(claimed):
        for cpu in _pinned(_read(request)):
            pinned.setdefault((host, cpu), instance_id)
    for (host, cpu), instance_id in pinned.items():
        tx.execute(pinned_cpus.insert().values(host=host, cpu=cpu, instance_id=instance_id))
    hosts_by_weight.create(tx)


def _read(data: Any) -> dict[str, Any]:
    """An entry as plain JSON; nothing where its row is damaged, which is told by whoever needs the entry."""
    try:
        read = json.loads(bytes(data) if isinstance(data, memoryview) else data)
    except (TypeError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _pinned(request: dict[str, Any]) -> Sequence[int]:
    flavor = request.get("flavor")
    cpus = flavor.get("pin_cpus", ()) if isinstance(flavor, dict) else ()
    return [cpu for cpu in cpus if isinstance(cpu, int)] if isinstance(cpus, list) else ()
