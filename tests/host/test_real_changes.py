"""NICs and disks of real guests come and go while they run: seen by the guest itself, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.real.guest import archive
from slipway import NetworkRequest
from slipway.model.record import Instance
from slipway.model.request import Volume
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.conftest import BOOT, Guest
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = pytest.mark.host

GIB = 1 << 30
WATCH = """\
#!/bin/sh
before=
while sleep 1; do
    now=$(cd /sys/class/block; echo vd*; cd /sys/class/net; echo eth*)
    [ "$now" = "$before" ] || echo "slipway-guest: sees" $now > /dev/ttyS0
    before=$now
done
"""
"""Tells which disks and NICs there are, whenever that changes."""

NO_HOTPLUG = f"{BOOT} acpiphp.disable=1 pcie_ports=compat"
"""A kernel that hears of nothing that is plugged or unplugged."""


@pytest.fixture
def watching(guest: Guest, tmp_path: Path) -> Guest:
    """The guest that tells what it sees."""
    program = tmp_path / "root" / "start" / "watch"
    program.parent.mkdir(parents=True)
    program.write_text(WATCH)
    program.chmod(0o755)
    initrd = tmp_path / "initrd.gz"
    initrd.write_bytes(guest.initrd.read_bytes() + archive(tmp_path / "root"))
    return Guest(guest.kernel, initrd)


@pytest.fixture
def build(
    real_hosts: tuple[RealHost, RealHost], watching: Guest, tmp_path: Path
) -> Iterator[Callable[..., tuple[Orchestrator, Instance]]]:
    """Builds the guest, which is ready then, with this in its entry and its image; gone at the end, and all of it."""
    host, state = real_hosts[0], tmp_path / "state"
    before = things([host], state)
    with Orchestrator(state) as slipway:

        def built(more: str = "", cmdline: str = BOOT) -> tuple[Orchestrator, Instance]:
            text = host.file(watching, more).replace("64MiB", "128MiB")
            text = text.replace(BOOT, cmdline)
            (ended,) = slipway.run(loads(text, "changes.yaml")).ended
            assert ended.instance is not None
            assert ended.instance.fault is None, ended.instance.fault
            until(lambda: "slipway-guest: ready" in console(slipway), "the guest")
            return slipway, ended.instance

        yield built
        slipway.delete("one")
        assert slipway.audit() == ()
    assert things([host], state) == before
    host.clear()


def console(slipway: Orchestrator) -> str:
    return b"".join(slipway.console("one")).decode(errors="replace")


def sees(slipway: Orchestrator, *names: str) -> None:
    """Wait until that is what the guest sees."""
    wanted = f"slipway-guest: sees {' '.join(names)}"

    def last() -> str:
        return next((line.strip() for line in reversed(console(slipway).splitlines()) if "guest: sees" in line), "")

    until(lambda: last() == wanted, f"{wanted}; it sees otherwise: {last()}")


def test_nics_and_disks_of_a_guest_that_runs(
    build: Callable[..., tuple[Orchestrator, Instance]], tmp_path: Path
) -> None:
    slipway, _ = build()
    changes = slipway.changes
    data = tmp_path / "data.raw"
    data.write_bytes(bytes(1 << 20))

    def done(changed: Instance) -> Instance:
        assert changed.fault is None, changed.fault
        assert slipway.audit() == ()
        return changed

    sees(slipway, "vda", "vdb", "eth0")
    done(changes.attach_disk("one", GIB))
    sees(slipway, "vda", "vdb", "vdc", "eth0")
    done(changes.attach_disk("one", Volume(str(data), "raw")))
    sees(slipway, "vda", "vdb", "vdc", "vdd", "eth0")
    attached = done(changes.attach_interface("one", NetworkRequest(network="net")))
    assert len(attached.addresses) == 2
    sees(slipway, "vda", "vdb", "vdc", "vdd", "eth0", "eth1")
    done(changes.detach_disk("one", "vdc"))
    sees(slipway, "vda", "vdb", "vdd", "eth0", "eth1")
    done(changes.detach_interface("one", attached.addresses[1]))
    sees(slipway, "vda", "vdb", "vdd", "eth0")
    done(changes.detach_disk("one", str(data)))
    sees(slipway, "vda", "vdb", "eth0")
    assert data.read_bytes() == bytes(1 << 20)


def test_a_guest_that_does_not_let_go_keeps_what_it_has(
    build: Callable[..., tuple[Orchestrator, Instance]],
) -> None:
    slipway, built = build(", disks: [1GiB]", NO_HOTPLUG)
    for _ in range(2):
        kept = slipway.changes.detach_disk("one", "vdb")
        assert kept.fault is not None
        assert (kept.fault.type, kept.vm_state) == ("ComputeError", "ACTIVE")
        assert "does not let go of disk" in kept.fault.message
        assert (kept.request, slipway.audit()) == (built.request, ())
    kept = slipway.changes.detach_interface("one", built.addresses[0])
    assert kept.fault is not None
    assert "does not let go of NIC" in kept.fault.message
    assert (kept.request, kept.addresses, slipway.audit()) == (built.request, built.addresses, ())
    assert "vdb" in console(slipway)
    slipway.stop("one", force=True)
    assert slipway.changes.detach_disk("one", "vdb").fault is None
    assert slipway.audit() == ()
