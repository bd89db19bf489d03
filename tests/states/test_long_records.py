"""Records that have grown for years: what is counted in them goes on beyond 32 bits, in those of before too."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from slipway import Orchestrator
from slipway.runfile import loads
from slipway.states.urls import parsed_url

FULL = 2**31 - 1
FILE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
networks: {blue: {subnets: {v4: {cidr: 10.0.0.0/24}}}}
instances: {web-1: {flavor: small, image: tiny, networks: [blue]}}
"""
SCHEMA_13 = (
    *(
        statement
        for table in ("effects", "events")
        for statement in (
            f"ALTER TABLE {table} ALTER COLUMN seq TYPE INTEGER",
            f"ALTER SEQUENCE {table}_seq_seq AS INTEGER",
        )
    ),
    "ALTER TABLE deliveries ALTER COLUMN seq TYPE INTEGER",
    "ALTER TABLE free_ranges ALTER COLUMN given_back TYPE INTEGER",
    "UPDATE meta SET schema_version = 13",
)
"""What makes a record in PostgreSQL one of schema 13 again."""
GROWN = {
    "PostgreSQL": (f"SELECT setval('effects_seq_seq', {FULL})", f"SELECT setval('events_seq_seq', {FULL})"),
    "SQLite": (f"UPDATE effects SET seq = {FULL} WHERE seq = 1", f"UPDATE sqlite_sequence SET seq = {FULL}"),
}
GROWN["of before"] = GROWN["PostgreSQL"]
"""What makes all of 32 bits given out."""


@pytest.mark.sqlite("takes both databases by itself")
@pytest.mark.parametrize("kind", GROWN)
def test_what_is_counted_goes_on_beyond_32_bits(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/slipway.db" if kind == "SQLite" else request.getfixturevalue("database")
    with Orchestrator(tmp_path, db=url) as slipway:
        assert slipway.run(loads(FILE, "long.yaml")).ended[0].instance is not None
        assert slipway.network is not None
        # Its address rests: one that is given back next is behind it.
        port = slipway.network.create_port(network_id=slipway.network.list_networks()[0].id)
        slipway.network.delete_port(port.id)
    engine = sa.create_engine(parsed_url(url))
    with engine.begin() as tx:
        grown = f"UPDATE free_ranges SET given_back = {FULL} WHERE given_back > 0"
        for statement in (*GROWN[kind], grown, *(SCHEMA_13 if kind == "of before" else ())):
            tx.exec_driver_sql(statement)
    with Orchestrator(tmp_path, db=url) as slipway:
        assert slipway.audit() == ()
        assert slipway.delete("web-1").vm_state == "DELETED"
        assert slipway.run(loads(FILE, "long.yaml")).ended[0].instance is not None
        events = list(slipway.events(after=FULL))
        assert [event.seq for event in events] == [*range(FULL + 1, FULL + 1 + len(events))]
        assert [event.type for event in events][-1] == "instance.finish"
        assert list(slipway.events(after=events[-2].seq)) == events[-1:]
        assert slipway.audit() == ()
    with engine.begin() as tx:
        assert tx.exec_driver_sql("SELECT max(seq) FROM effects").scalar_one() > FULL
        assert tx.exec_driver_sql("SELECT max(given_back) FROM free_ranges").scalar_one() > FULL
    engine.dispose()
