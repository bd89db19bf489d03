"""A real guest that runs gets back what it had on its disk when a snapshot was made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.real.guest import archive
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.conftest import Guest
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = pytest.mark.host

COUNT = """\
#!/bin/sh
number=$(dd if=/dev/vda bs=64 skip=64 count=1 2> /dev/null | tr -cd 0-9)
echo "slipway-guest: found ${number:-0}" > /dev/ttyS0
while sleep 1; do
    number=$((${number:-0} + 1))
    printf '%-64s' $number | dd of=/dev/vda bs=64 seek=64 conv=notrunc,fsync 2> /dev/null
    echo "slipway-guest: wrote $number" > /dev/ttyS0
done
"""
"""Counts on its disk, from what it finds there when it boots."""


@pytest.fixture
def counting(guest: Guest, tmp_path: Path) -> Guest:
    program = tmp_path / "root" / "start" / "count"
    program.parent.mkdir(parents=True)
    program.write_text(COUNT)
    program.chmod(0o755)
    initrd = tmp_path / "initrd.gz"
    initrd.write_bytes(guest.initrd.read_bytes() + archive(tmp_path / "root"))
    return Guest(guest.kernel, initrd)


def numbers(slipway: Orchestrator, word: str) -> list[int]:
    console = b"".join(slipway.console("one")).decode(errors="replace")
    return [int(number) for number in re.findall(rf"slipway-guest: {word} (\d+)\r?\n", console)]


def test_a_guest_gets_back_what_it_had(real_hosts: tuple[RealHost, RealHost], counting: Guest, tmp_path: Path) -> None:
    host, state = real_hosts[0], tmp_path / "state"
    before = things([host], state)
    with Orchestrator(state) as slipway:
        (ended,) = slipway.run(loads(host.file(counting).replace("64MiB", "128MiB"), "snapshots.yaml")).ended
        assert ended.instance is not None
        assert ended.instance.fault is None
        until(lambda: numbers(slipway, "wrote")[2:], "what the guest has written")
        assert numbers(slipway, "found") == [0]
        earliest = numbers(slipway, "wrote")[-1]
        assert slipway.changes.snapshots.create("one", "first").fault is None
        latest = numbers(slipway, "wrote")[-1] + 1
        (made,) = slipway.changes.snapshots.list("one")
        assert (made.state, made.consistent) == ("running", False), "no agent is in it"
        until(lambda: numbers(slipway, "wrote")[-1] > latest + 3, "the guest to go on")
        restored = slipway.changes.snapshots.restore("one", "first")
        assert (restored.fault, restored.vm_state) == (None, "ACTIVE")
        until(lambda: numbers(slipway, "wrote"), "the guest to count on")
        (found,) = numbers(slipway, "found")
        assert earliest <= found <= latest
        assert numbers(slipway, "wrote")[0] == found + 1
        assert slipway.audit() == ()
        assert slipway.delete("one").vm_state == "DELETED"
        assert slipway.audit() == ()
    host.clear()
    assert things([host], state) == before
