"""The drill over a real build and its delete: every call of every driver of the host fails, loses its reply, or kills.

A call that undoes something is met twice: in a delete, and where the last call of the build failed. After each, and
when the instance is deleted, the host is as it was. The drill of simulated hosts has what is of the network and the
record.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
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
LOOKING = {"list_domains", "list_definitions", "list_disks"}
"""Before anything is built on a host it is looked at what is there already."""
MORE = (Mode.LOST_REPLY, Mode.CRASH_BEFORE)
"""What each of them finds the drill of simulated hosts finds too."""
BROUGHT = b"of the user".ljust(1 << 20)
"""The volume that the instance has."""
THE_LAST_FAILS = Fault("power_state", Mode.ERROR)


@pytest.fixture
def host(real_hosts: tuple[RealHost, RealHost]) -> Iterator[RealHost]:
    yield real_hosts[0]
    real_hosts[0].clear()


def points(text: str, state: Path, mode: Mode) -> list[Fault]:
    """Every call to a driver of the host in the life of an instance."""
    calls: list[Call] = []
    with Faults(on_call=calls.append).orchestrator(state) as orchestrator:
        orchestrator.run(loads(text, "drill.yaml"))
        orchestrator.delete("one")
    # Routers follow what changes: one that cannot is told, and fails no build that has none.
    ours = [call for call in calls if call.family in ("compute", "disk", "wiring") and call.name != "set_routers"]
    return [Fault(call.name, mode, call.nth) for call in ours]


@pytest.mark.parametrize(
    "mode", [Mode.ERROR, Mode.CRASH_AFTER, *(pytest.param(mode, marks=pytest.mark.slow) for mode in MORE)]
)
def test_the_host_is_as_before(
    host: RealHost, guest: Guest, tmp_path: Path, mode: Mode, record_property: Callable[[str, object], None]
) -> None:
    volume = tmp_path / "volume"
    volume.write_bytes(BROUGHT)
    text = host.file(guest, f", disks: [{{volume: {volume}, format: raw}}]")
    faults = points(text, tmp_path / "seen", mode)
    assert {fault.call for fault in faults} == LOOKING | DOING | UNDOING
    if mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        # Nothing is begun at a look: there would be nothing to go on with.
        faults = [fault for fault in faults if fault.call not in LOOKING]
    cases = [[fault] for fault in faults]
    cases += [[fault, THE_LAST_FAILS] for fault in faults if fault.call in UNDOING]
    drilled = killed if mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER) else failed
    wrong: dict[str, list[object]] = {}
    for case in cases:
        name = "+".join(map(str, case))
        state = tmp_path / name.replace(":", "-")
        before = things([host], state)
        problems = drilled(case, state, text)
        after = things([host], state)
        problems += [(kind, found, before[kind]) for kind, found in after.items() if found != before[kind]]
        problems += ["the volume is another"] if volume.read_bytes() != BROUGHT else []
        if problems:
            wrong[name] = problems
        shutil.rmtree(state)
    record_property("cases", len(cases))
    print(f"\n{mode}: {len(cases)} cases, {len(wrong)} wrong")
    assert not wrong


def failed(case: Sequence[Fault], state: Path, text: str) -> list[object]:
    """A build that fails is taken back, and what could not be can be by a delete, which can be repeated."""
    problems: list[object] = []
    faults = Faults(*case)
    with faults.orchestrator(state) as orchestrator:
        (ended,) = orchestrator.run(loads(text, "drill.yaml")).ended
        assert ended.instance is not None
        if case[0].call in DOING:
            problems += [*ended.stuck, *orchestrator.audit()]
        if ended.instance.vm_state != ("ERROR" if case[-1].call in DOING else "ACTIVE"):
            problems.append(f"ended {ended.instance.vm_state}: {ended.instance.fault}")
        for _ in range(2):
            if orchestrator.list():
                orchestrator.delete("one")
        if not faults.fired:
            problems.append("did not fire")
        problems += [*orchestrator.list(), *orchestrator.audit()]
    return problems


def killed(case: Sequence[Fault], state: Path, text: str) -> list[object]:
    """A build goes on to its end, and so do a way back and a delete."""
    problems: list[object] = [] if died(case, state, text) else ["did not fire"]
    ends = "ERROR" if len(case) > 1 else "ACTIVE" if case[0].call in DOING else "DELETED"
    with Orchestrator(state) as orchestrator:
        (ended,) = orchestrator.resume()
        assert ended.instance is not None
        if ended.instance.vm_state != ends:
            problems.append(f"ended {ended.instance.vm_state}: {ended.instance.fault}")
        problems += [*ended.stuck, *orchestrator.audit()]
        if orchestrator.list():
            orchestrator.delete("one")
        problems += [*orchestrator.list(), *orchestrator.audit()]
    return problems
