"""Claims of before, when each instance had but one: they are kept, and it may have one of a second host."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from slipway import Orchestrator
from slipway.runfile import loads
from slipway.states.urls import parsed_url

FILE = """
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}
  node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [], host: node-1}}
"""
OLDER = (
    "CREATE TABLE kept AS SELECT * FROM claims",
    "DROP TABLE claims",
    "CREATE TABLE claims (instance_id VARCHAR NOT NULL PRIMARY KEY REFERENCES instances (id), "
    "host VARCHAR NOT NULL REFERENCES hosts (name), "
    "vcpus BIGINT NOT NULL, memory BIGINT NOT NULL, disk BIGINT NOT NULL)",
    "CREATE INDEX ix_claims_host ON claims (host)",
    "INSERT INTO claims SELECT instance_id, host, vcpus, memory, disk FROM kept",
    "DROP TABLE kept",
    "UPDATE meta SET schema_version = 10",
)
"""What makes a record one of schema 10 again."""


@pytest.mark.sqlite("takes both databases by itself")
@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_claims_of_before_are_kept_and_their_instance_can_move(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/slipway.db"
    if kind == "PostgreSQL":
        url = request.getfixturevalue("database")
    with Orchestrator(tmp_path, db=url) as slipway:
        assert slipway.run(loads(FILE, "claims.yaml")).ended[0].instance is not None
    engine = sa.create_engine(parsed_url(url))
    with engine.begin() as tx:
        for statement in OLDER:
            tx.exec_driver_sql(statement)
    with Orchestrator(tmp_path, db=url) as slipway:
        assert slipway.audit() == ()
        moved = slipway.changes.move("web-1")
        assert (moved.host, moved.fault, slipway.audit()) == ("node-2", None, ())
    assert sa.inspect(engine).get_pk_constraint("claims")["constrained_columns"] == ["instance_id", "host"]
    engine.dispose()
