"""The drill over a real build and its delete: every call of every driver of the host fails, loses its reply, or kills.

After each, and once the instance is deleted, the host is as it was. What is our own, the network's and the record's
calls, the drill of simulated hosts has.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.testing import Call, Fault, Faults, Mode
from tests.conftest import Guest
from tests.host.crash import died
from tests.host.hosts import RealHost, things

pytestmark = pytest.mark.host

DOING = {"macs_for_instance", "dhcp_options_for_instance", "platform_for_instance", "create_disk", "write_definition",
         "plug", "apply_filter", "serve_dhcp", "spawn", "power_state"}  # fmt: skip
UNDOING = {"destroy", "withdraw_dhcp", "remove_filter", "unplug", "delete_definition", "delete_disk"}


@pytest.fixture
def host(real_hosts: tuple[RealHost, RealHost]) -> Iterator[RealHost]:
    yield real_hosts[0]
    real_hosts[0].libvirtd.clear()


def points(text: str, state: Path, mode: Mode) -> list[Fault]:
    """Every call to a driver of the host in the life of an instance."""
    calls: list[Call] = []
    with Faults(on_call=calls.append).orchestrator(state) as orchestrator:
        orchestrator.run(loads(text, "drill.yaml"))
        orchestrator.delete("one")
    return [Fault(call.name, mode, call.nth) for call in calls if call.family in ("compute", "disk", "wiring")]


@pytest.mark.parametrize("mode", [Mode.ERROR, Mode.LOST_REPLY, Mode.CRASH_BEFORE, Mode.CRASH_AFTER])
def test_the_host_is_as_before(
    host: RealHost, guest: Guest, tmp_path: Path, mode: Mode, record_property: Callable[[str, object], None]
) -> None:
    text = host.file(guest)
    faults = points(text, tmp_path / "seen", mode)
    assert {fault.call for fault in faults} == DOING | UNDOING
    drilled = killed if mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER) else failed
    wrong: dict[str, list[object]] = {}
    for fault in faults:
        state = tmp_path / str(fault).replace(":", "-")
        before = things([host], state)
        problems = drilled(fault, state, text)
        after = things([host], state)
        problems += [(kind, found, before[kind]) for kind, found in after.items() if found != before[kind]]
        if problems:
            wrong[str(fault)] = problems
        shutil.rmtree(state)
    record_property("points", len(faults))
    print(f"\n{mode}: {len(faults)} points, {len(wrong)} wrong")
    assert not wrong


def failed(fault: Fault, state: Path, text: str) -> list[object]:
    """A build that fails is taken back; a delete that fails can be repeated. Gives what is wrong."""
    problems: list[object] = []
    faults = Faults(fault)
    with faults.orchestrator(state) as orchestrator:
        (ended,) = orchestrator.run(loads(text, "drill.yaml")).ended
        assert ended.instance is not None
        if fault.call in DOING:
            problems += [*ended.stuck, *orchestrator.audit()]
        if (ended.instance.vm_state == "ERROR") is not (fault.call in DOING):
            problems.append(f"ended {ended.instance.vm_state}: {ended.instance.fault}")
        for _ in range(2):
            if orchestrator.list():
                orchestrator.delete("one")
        if not faults.fired:
            problems.append("did not fire")
        problems += [*orchestrator.list(), *orchestrator.audit()]
    return problems


def killed(fault: Fault, state: Path, text: str) -> list[object]:
    """A build goes on to its end, and so does a delete. Gives what is wrong."""
    problems: list[object] = [] if died(fault, state, text) else ["did not fire"]
    with Orchestrator(state) as orchestrator:
        (ended,) = orchestrator.resume()
        assert ended.instance is not None
        if ended.instance.vm_state != ("ACTIVE" if fault.call in DOING else "DELETED"):
            problems.append(f"ended {ended.instance.vm_state}: {ended.instance.fault}")
        problems += orchestrator.audit()
        if orchestrator.list():
            orchestrator.delete("one")
        problems += [*orchestrator.list(), *orchestrator.audit()]
    return problems
