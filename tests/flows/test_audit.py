"""The audit on worlds with known differences, each made behind Slipway's back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.operations.audit import Difference
from slipway.runfile import loads
from tests import record

FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}, ports: {spare: {}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [a]}}
""",
    "audit.yaml",
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def slipway(state: Path) -> Iterator[Orchestrator]:
    with Orchestrator(state) as orchestrator:
        orchestrator.run(FILE)
        assert orchestrator.audit() == ()
        yield orchestrator


def one(state: Path, kind: str) -> Path:
    (path,) = (state / "world" / "node-1" / kind).glob("*.json")
    return path


def sql(state: Path, statement: str) -> None:
    with record.opened(state / "slipway.db") as db:
        db.execute(statement)
    db.close()


def shut_down(state: Path) -> None:
    path = one(state, "domains")
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "shutdown"}))


def second_disk(state: Path) -> None:
    path = one(state, "disks")
    path.with_name(path.name.replace("-0.json", "-7.json")).write_text(
        json.dumps({**json.loads(path.read_text()), "slot": 7})
    )


def take_port(state: Path) -> None:
    sql(state, "UPDATE ports SET device_id = '11111111-2222-4333-8444-555555555555' WHERE name = 'spare'")


def late_binding(state: Path) -> None:
    sql(state, "UPDATE ports SET binding_host_id = 'node-1', device_owner = 'compute:nova' WHERE name = 'spare'")


def unreadable(state: Path) -> None:
    one(state, "domains").write_text("{")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: one(state, "domains").unlink(), {(Difference.MISSING, "domain")}),
        (lambda state: one(state, "disks").unlink(), {(Difference.MISSING, "disk")}),
        (shut_down, {(Difference.DIFFERENT, "domain")}),
        (second_disk, {(Difference.ORPHANED, "disk")}),
        (take_port, {(Difference.ORPHANED, "port")}),
        (late_binding, {(Difference.ORPHANED, "binding")}),
        (lambda state: sql(state, "UPDATE hosts SET vcpus_used = 3"), {(Difference.DIFFERENT, "counter")}),
        (
            lambda state: sql(state, "DELETE FROM claims"),
            {(Difference.MISSING, "claim"), (Difference.DIFFERENT, "counter")},
        ),
        (unreadable, {(Difference.UNREACHABLE, "domain")}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_difference_is_found_and_nothing_besides(
    slipway: Orchestrator, state: Path, change: Callable[[Path], None], expected: set[tuple[Difference, str]]
) -> None:
    change(state)
    assert {(finding.difference, finding.kind) for finding in slipway.audit()} == expected


def test_what_is_not_ours_is_left_out(slipway: Orchestrator, state: Path) -> None:
    path = one(state, "domains")
    foreign = json.loads(path.read_text()) | {
        "owner": "somebody",
        "instance_id": "11111111-2222-4333-8444-555555555555",
    }
    path.with_name("11111111-2222-4333-8444-555555555555.json").write_text(json.dumps(foreign))
    assert slipway.audit() == ()


def test_a_host_without_a_driver_keeps_no_other_from_being_audited(slipway: Orchestrator, state: Path) -> None:
    slipway.run(loads("schema: 1\nhosts: {node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB}}\n", "another.yaml"))
    with closing(record.opened(state / "slipway.db")) as database, database:
        (spec,) = database.execute("SELECT spec FROM hosts WHERE name = 'node-2'").fetchone()
        gone = spec.replace(b'"compute":"sim"', b'"compute":"simm"')
        assert database.execute("UPDATE hosts SET spec = ? WHERE name = 'node-2'", (gone,)).rowcount == 1
    one(state, "domains").unlink()
    found = {(finding.difference, finding.kind, finding.host) for finding in slipway.audit()}
    unreachable = {finding for finding in found if finding[0] == Difference.UNREACHABLE}
    assert found - unreachable == {(Difference.MISSING, "domain", "node-1")}
    assert {host for _, _, host in unreachable} == {"node-2"}
