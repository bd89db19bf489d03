"""The drill over a real build: every driver call fails, loses its reply, or is the last that the process makes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.disk.base import DiskDriver
from slipway.testing import Fault, Faults, Mode
from tests.host.conftest import Machines

pytestmark = pytest.mark.host

FORWARD = {name for driver in (ComputeDriver, DiskDriver) for name in vars(driver)} - {
    "destroy",
    "delete_definition",
    "delete_disk",
}
"""The calls that touch the host; the others' are rows of our own, which the drill of simulated hosts has."""


def points(machines: Machines, mode: Mode) -> list[Fault]:
    seen = Faults()
    with seen.orchestrator(machines.state) as orchestrator:
        orchestrator.run(machines.file())
        orchestrator.delete("one")
    return [fault for fault in seen.possible(mode) if fault.call in FORWARD]


def assert_gone(machines: Machines, fault: Fault) -> None:
    assert machines.files() == set(), fault
    assert machines.libvirtd.machines() == [], fault
    with machines.open() as orchestrator:
        assert orchestrator.audit() == (), fault
    shutil.rmtree(machines.state)


@pytest.mark.parametrize("mode", [Mode.ERROR, Mode.LOST_REPLY])
def test_a_call_that_fails_leaves_nothing(machines: Machines, mode: Mode) -> None:
    faults = points(machines, mode)
    assert {"create_disk", "write_definition", "spawn", "power_state"} <= {fault.call for fault in faults}
    for fault in faults:
        one = Faults(fault)
        with one.orchestrator(machines.state) as orchestrator:
            (ended,) = orchestrator.run(machines.file()).ended
        assert one.fired, fault
        assert ended.instance is not None
        assert (ended.instance.vm_state, ended.stuck) == ("ERROR", ()), fault
        assert_gone(machines, fault)


@pytest.mark.parametrize("mode", [Mode.CRASH_BEFORE, Mode.CRASH_AFTER])
def test_a_build_that_was_killed_goes_on(machines: Machines, tmp_path: Path, mode: Mode) -> None:
    file = tmp_path / "machines.yaml"
    file.write_text(machines.text())
    for fault in points(machines, mode):
        machines = replace(machines, state=machines.state.parent / str(fault).replace(":", "-"))
        command = [
            sys.executable,
            str(Path(__file__).with_name("crash.py")),
            str(fault),
            str(machines.state),
            str(file),
        ]
        assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL, fault
        with machines.open() as orchestrator:
            (ended,) = orchestrator.resume()
            assert ended.instance is not None
            assert ended.instance.vm_state == "ACTIVE", (fault, ended.instance.fault)
            assert len(machines.libvirtd.machines()) == 1, fault
            assert orchestrator.audit() == (), fault
            orchestrator.delete("one")
        assert_gone(machines, fault)
