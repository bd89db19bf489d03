"""A real guest's file systems are frozen by its agent while they are copied, and thawed whatever comes between."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from examples.real.guest import archive, unpack_kernel
from slipway.drivers.files import locked
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode
from tests.conftest import Guest
from tests.host.agent import with_agent
from tests.host.crash import died
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = [pytest.mark.host, pytest.mark.slow]

MODULES = ("lib/crc16", "crypto/crc32c_generic", "fs/mbcache", "fs/jbd2/jbd2", "fs/ext4/ext4")
WRITE = """\
#!/bin/sh
for module in crc16 crc32c_generic mbcache jbd2 ext4; do [ ! -e /ext4/$module.ko ] || insmod /ext4/$module.ko; done
mkdir /mnt
mount -t ext4 /dev/vda /mnt || exit 1
while sleep 1; do
    number=$((number + 1))
    echo $number > /mnt/number
    sync
    echo "slipway-guest: wrote $number" > /dev/ttyS0
done
"""
"""Counts in a file of a journaling file system."""
_NEEDS_RECOVERY = 4


@pytest.fixture
def writing(guest: Guest, tmp_path: Path) -> Guest:
    """With an agent, and a disk that it has mounted."""
    speaking = with_agent(guest)
    digest = hashlib.sha256(WRITE.encode()).hexdigest()[:8]
    initrd = speaking.initrd.with_name(f"{speaking.initrd.stem}-ext4-{digest}.gz")
    with locked(initrd.parent):
        if not initrd.exists():
            _add_ext4(speaking.initrd, initrd)
    return Guest(guest.kernel, initrd)


def _add_ext4(before: Path, initrd: Path) -> None:
    with tempfile.TemporaryDirectory(dir=initrd.parent) as scratch:
        modules = next(unpack_kernel(Path(scratch)).glob("lib/modules/*/kernel"))
        root = Path(scratch, "root")
        for name in ("ext4", "start"):
            (root / name).mkdir(parents=True)
        for module in MODULES:
            # Built into some kernels.
            if (file := modules / f"{module}.ko").exists():
                shutil.copy(file, root / "ext4")
        (root / "start" / "write").write_text(WRITE)
        (root / "start" / "write").chmod(0o755)
        made = Path(scratch, "initrd.gz")
        made.write_bytes(before.read_bytes() + archive(root))
        made.rename(initrd)


def seen(slipway: Orchestrator, what: str) -> list[str]:
    console = b"".join(slipway.console("one")).decode(errors="replace")
    return re.findall(rf"slipway-guest: {what} (\w+)\r?\n", console)


def needs_recovery(disk: Path, raw: Path) -> bool:
    """Whether the file system on a disk has something in its journal that is not where it belongs, as after a power cut
    (ext4's superblock: the feature `needs_recovery`)."""
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", disk, raw], check=True)
    content = raw.read_bytes()
    assert content[1024 + 56 : 1024 + 58] == b"\x53\xef"
    return bool(int.from_bytes(content[1024 + 96 : 1024 + 100], "little") & _NEEDS_RECOVERY)


def snapshot(slipway: Orchestrator, name: str) -> object:
    return slipway.changes.snapshots.create("one", name)


def test_it_is_frozen_while_it_is_copied_and_thawed_whatever_comes_between(
    real_hosts: tuple[RealHost, RealHost], writing: Guest, tmp_path: Path
) -> None:
    host, state, image, raw = real_hosts[0], tmp_path / "state", tmp_path / "ext4.raw", tmp_path / "copy.raw"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    before = things([host], state)
    text = host.file(writing).replace("64MiB", "192MiB").replace("guest: {kernel", f"guest: {{path: {image}, kernel")
    text = text.replace("path:", "format: raw, path:")

    def goes_on(slipway: Orchestrator, since: int = 0) -> None:
        until(lambda: len(seen(slipway, "wrote")) > since + 2, "the guest to write on")

    with Orchestrator(state) as slipway:
        (ended,) = slipway.run(loads(text, "freeze.yaml")).ended
        assert ended.instance is not None
        assert ended.instance.fault is None
        goes_on(slipway)
        until(lambda: slipway.addresses("one").nics[0].guest, "the agent")
        own = state / "disks" / host.name
        assert needs_recovery(own / f"{ended.instance.id}-0.qcow2", raw), "as after a power cut while it writes"
        snapshot(slipway, "first")
        (made,) = slipway.changes.snapshots.list("one")
        assert (made.state, made.consistent, seen(slipway, "agent")) == ("running", True, ["freeze", "thaw"])
        goes_on(slipway, len(seen(slipway, "wrote")))
        (copy,) = own.glob(f"{ended.instance.id}-0@*first*")
        assert not needs_recovery(copy, raw)
        assert subprocess.run(["e2fsck", "-fn", raw], check=False, capture_output=True).returncode == 0
    with Faults(Fault("create_snapshot", Mode.ERROR)).orchestrator(state) as slipway:
        snapshot(slipway, "second")
        assert slipway.show("one").instance.fault is not None
        assert seen(slipway, "agent") == ["freeze", "thaw"] * 2
        goes_on(slipway, len(seen(slipway, "wrote")))
    for number, fault in enumerate(
        (Fault("freeze", Mode.CRASH_AFTER), Fault("create_snapshot", Mode.CRASH_AFTER), Fault("thaw", Mode.CRASH_AFTER))
    ):
        assert died([fault], state, f"after-{fault.call}", snapshot)
        with Orchestrator(state) as slipway:
            slipway.resume()
            assert slipway.show("one").instance.fault is None
            assert len(slipway.changes.snapshots.list("one")) == 2 + number
            goes_on(slipway, len(seen(slipway, "wrote")))
            assert (seen(slipway, "agent")[-1], slipway.audit()) == ("thaw", ())
    with Orchestrator(state) as slipway:
        print([(one.name, one.consistent) for one in slipway.changes.snapshots.list("one")], seen(slipway, "agent"))
        assert slipway.delete("one").vm_state == "DELETED"
        assert slipway.audit() == ()
    host.clear()
    assert things([host], state) == before
