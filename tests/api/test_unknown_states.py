"""States in the record that no Slipway of this version writes: said, never waited for, and in nobody else's way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, errors
from slipway.flows.loader import find_definition
from slipway.runfile import loads
from tests import record

FILE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 16GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {s: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {i: {kernel: ./k}}
instances: {web: {flavor: s, image: i, networks: [net]}, other: {flavor: s, image: i, networks: [net]}}
"""


@pytest.fixture(autouse=True)
def _soon() -> Iterator[None]:
    """A call that spins fails here."""
    signal.alarm(120)
    yield
    signal.alarm(0)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(loads(FILE, "a.yaml"))
    return tmp_path / "state"


def sql(state: Path, statement: str, *values: object) -> None:
    connection = record.opened(state / "slipway.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


UNKNOWN = [
    ("SHELVED", None),
    ("ACTIVE", "MIGRATING"),
    ("BUILDING", "FOO"),
    ("BUILDING", None),
    ("active", None),
    ("", ""),
]
VERBS: dict[str, Callable[[Orchestrator], Any]] = {
    "delete": lambda slipway: slipway.delete("web"),
    "stop": lambda slipway: slipway.stop("web"),
    "start": lambda slipway: slipway.start("web"),
    "reboot": lambda slipway: slipway.reboot("web", force=True),
}


@pytest.mark.parametrize(("vm_state", "task_state"), UNKNOWN)
def test_an_unknown_state_is_an_error_of_its_own(vm_state: str, task_state: str | None, state: Path) -> None:
    sql(state, "UPDATE instances SET vm_state = ?, task_state = ? WHERE name = 'web'", vm_state, task_state)
    sql(state, "UPDATE instances SET task_state = 'REBOOTING' WHERE name = 'other'")
    with Orchestrator(state) as slipway:
        before = slipway.show("web")
        for verb in VERBS.values():
            with pytest.raises(
                errors.UnknownState, match=f"instance web is {vm_state}/{task_state or '-'}, which is no"
            ):
                verb(slipway)
        assert slipway.show("web") == before
        assert [one.name for one in slipway.list()] == ["other", "web"]
        resumed = {one.name: (one.status, one.message) for one in slipway.resume()}
        assert resumed.pop("other") == ("resumed", "")
        for status, message in resumed.values():
            assert status == "busy"
            assert "no state that this Slipway knows" in message
        assert [one.difference for one in slipway.audit() if one.instance_id != before.instance.id] == []
        assert slipway.delete("other").vm_state == "DELETED"


@pytest.mark.parametrize("column", ["state", "scope"])
def test_an_effect_that_nobody_understands_is_stuck_until_it_is_undone(column: str, state: Path) -> None:
    web = "SELECT id FROM instances WHERE name = 'web'"
    sql(state, f"UPDATE effects SET {column} = 'foo' WHERE kind = 'disk' AND instance_id = ({web})")
    with Orchestrator(state) as slipway:
        (disk,) = [effect for effect in slipway.show("web").effects if effect.kind == "disk"]
        assert (disk.state, disk.error) == (
            "stuck",
            f"its row is damaged: 'foo' is not a valid {'EffectState' if column == 'state' else 'Scope'}",
        )
        assert {(one.difference, one.kind) for one in slipway.audit()} == {("stuck", "disk")}
        assert [slipway.delete(name).vm_state for name in ("web", "other")] == ["DELETED"] * 2
        assert slipway.audit() == ()


def test_a_decision_that_nobody_understands_undoes_the_build(state: Path) -> None:
    sql(
        state,
        "UPDATE instances SET vm_state = 'BUILDING', task_state = 'REVERTING', outcome = 'foo' WHERE name = 'web'",
    )
    with Orchestrator(state) as slipway:
        assert [one.status for one in slipway.resume()] == ["failed"]
        assert slipway.audit() == ()


def test_a_workflow_without_an_end_is_refused(tmp_path: Path) -> None:
    whole = find_definition("build-instance").read_text()
    steps, _, finish = whole.rpartition("\n  - id: finish")
    workflow = tmp_path / "endless.yaml"
    workflow.write_text(
        steps + "\n" + "".join(line for line in finish.splitlines(keepends=True) if not line.startswith("  "))
    )
    with Orchestrator(tmp_path / "state", workflow=str(workflow)) as slipway:
        with pytest.raises(errors.InvalidFile, match="the build of an instance would never end: no step uses finish"):
            slipway.run(loads(FILE, "a.yaml"))
        assert not slipway.list()
