"""A real guest that runs gets back what it had on its disk when a snapshot was made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from examples.real.guest import archive
from slipway.model.request import Readiness, Sign
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


def rebuilt_from_another_image(slipway: Orchestrator, path: Path) -> None:
    """It has what the image says on its disk; where it does not come up so, what it had."""
    with path.open("wb") as disk:
        disk.truncate(1 << 20)
        disk.seek(64 * 64)
        disk.write(b"1000".ljust(64))
    before = slipway.show("one").instance
    image = replace(before.request.image, name="other", path=str(path), format="raw")
    until(lambda: numbers(slipway, "wrote")[3:], "the guest to count")
    least = numbers(slipway, "wrote")[-1]
    slipway.changes.set("one", wait_for=[Readiness(Sign.MARKER, 0.1, "slipway-guest: nothing of the kind")])
    failed = slipway.changes.rebuild("one", image=image, stops=True)
    assert failed.fault is not None
    assert (failed.vm_state, failed.fault.step, failed.request.image.name) == ("ACTIVE", "ready", "guest")
    until(lambda: numbers(slipway, "found"), "the guest to find what it had")
    assert least <= numbers(slipway, "found")[0] < 1000
    slipway.changes.set("one", wait_for=[Readiness(Sign.MARKER, 60, "slipway-guest: found 1000")])
    rebuilt = slipway.changes.rebuild("one", image=image, stops=True)
    assert (rebuilt.fault, rebuilt.vm_state, rebuilt.id) == (None, "ACTIVE", before.id)
    assert rebuilt.addresses == before.addresses
    assert numbers(slipway, "found") == [1000]


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
        rebuilt_from_another_image(slipway, tmp_path / "other.raw")
        assert slipway.audit() == ()
        assert slipway.delete("one").vm_state == "DELETED"
        assert slipway.audit() == ()
    host.clear()
    assert things([host], state) == before
