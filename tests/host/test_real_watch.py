"""What happens to real machines by themselves is told as it happens, and after libvirtd was away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import Machines
from tests.host.libvirtd import WITH_US
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host


class Watching:
    """`slipway watch` as a process."""

    def __init__(self, state: Path, log: Path) -> None:
        self._log = log
        command = [str(Path(sys.executable).with_name("slipway")), "watch", "--state", str(state), "--output", "json"]
        with open(log, "wb") as out:
            self.process = subprocess.Popen([*WITH_US, *command], stdout=out)

    def events(self) -> list[dict[str, Any]]:
        whole, _, _ = self._log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def told(self, name: str | None) -> list[str]:
        """What was told of an instance, or without a name of the host, but for what its start is told as."""
        types = (event["event"] for event in self.events() if event["name"] == name)
        return [type_ for type_ in types if type_ != "domain.resumed"]

    def until(self, name: str | None, *types: str) -> None:
        """Until these are the last that were told."""
        until(lambda: self.told(name)[-len(types) :] == list(types), f"{name}: {', '.join(types)}: {self._log}")


@contextmanager
def watching(machines: Machines) -> Iterator[Watching]:
    watching = Watching(machines.state, machines.state / "watch.log")
    try:
        yield watching
    finally:
        watching.process.kill()
        watching.process.wait()


def shut_down(machines: Machines, instance_id: str) -> bool:
    """As somebody does who knows nothing of us; a guest may not listen yet. Whether it has ended."""
    import libvirt

    connection = libvirt.open(machines.libvirtd.uri)
    domain = connection.lookupByUUIDString(instance_id)
    # It may be just ending.
    with suppress(libvirt.libvirtError):
        domain.shutdown()
        time.sleep(0.5)
    ended = not domain.isActive()
    connection.close()
    return ended


def test_what_happens_is_told_and_the_record_follows(machines: Machines) -> None:
    """One is killed, libvirtd is, the other one meanwhile, and last a guest ends by itself."""
    with machines.open() as orchestrator:
        orchestrator.run(machines.file(entry="count: 2"))
        one, two = orchestrator.list()
        with watching(machines) as watch:
            watch.until(None, "host.heard")
            machines.libvirtd.machines(one.id)[0].kill()
            # Every instance is looked at once now, so it may be on record before libvirt tells of it.
            until(lambda: {"domain.crashed", "state"} <= set(watch.told("one-1")), "the crash")
            assert [instance.vm_state for instance in orchestrator.list()] == ["STOPPED", "ACTIVE"]
            assert orchestrator.audit() == ()

            machines.libvirtd.kill()
            watch.until(None, "host.lost")
            machines.libvirtd.machines(two.id)[0].kill()
            machines.libvirtd.restart()
            watch.until(None, "host.lost", "host.heard")
            until(lambda: "state" in watch.told("one-2"), "the record of what was missed")
            assert orchestrator.get(two.id).vm_state == "STOPPED"
            assert orchestrator.audit() == ()

            orchestrator.start("one-1")
            until(lambda: "slipway-guest: ready" in machines.console(one), "the guest's marker")
            until(lambda: shut_down(machines, one.id), "the guest's end")
            watch.until("one-1", "domain.started", "domain.shutdown", "state")
            last = orchestrator.show("one-1").history[-1]
            assert (last.vm_state, last.task_state, last.detail) == (
                "STOPPED",
                None,
                "the domain is shutdown, by itself",
            )

            os.kill(watch.process.pid, signal.SIGINT)
            assert watch.process.wait(PATIENCE) == 130


def test_a_stop_is_told_and_is_the_command_s_own(machines: Machines) -> None:
    with machines.open() as orchestrator:
        orchestrator.run(machines.file())
        (one,) = orchestrator.list()
        with watching(machines) as watch:
            watch.until(None, "host.heard")
            orchestrator.stop("one", force=True)
            watch.until("one", "domain.destroyed")
            assert [entry.event for entry in orchestrator.show(one.id).history][-2:] == ["stop", "halted"]
