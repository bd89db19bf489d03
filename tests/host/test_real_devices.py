"""CD-ROMs, Secure Boot, a TPM, directories of the host and what is used of it, of guests that really run."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from examples.real.guest import archive, unpack_kernel
from tests.conftest import BOOT, Guest
from tests.host.conftest import Machines
from tests.host.debian_kernel import with_needed
from tests.host.test_real_past_us import built, fault, found
from tests.waiting import until

pytestmark = pytest.mark.host

_INSTALLER = r"""
.code16
.globl _start
_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %sp
    mov $from_cd, %si
    cmpb $0x80, %dl
    jne say
    mov $from_disk, %si
say:
    mov $0x3f8, %dx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  cmp $from_cd_end, %si
    jne stop
    mov $0x0301, %ax        # one sector, to the first of the first disk
    mov $0x0001, %cx
    mov $0x0080, %dx
    mov $0x7c00, %bx
    int $0x13
    mov $0xfe, %al          # the keyboard controller starts the machine anew
    out %al, $0x64
stop:
    hlt
    jmp stop
from_cd: .asciz "slipway-guest: from the CD-ROM\n"
from_cd_end:
from_disk: .asciz "slipway-guest: from its disk\n"
.org 510
.word 0xaa55
"""
"""What an installer does, in a sector: it writes itself to the first disk, from which the machine boots then."""


def iso(directory: Path) -> Path:
    """With the installer, which starts without an emulated floppy."""
    source, linked, sector = directory / "installer.s", directory / "installer.o", directory / "installer"
    source.write_text(_INSTALLER)
    subprocess.run(["as", "--32", "-o", linked, source], check=True)
    link = ["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00", "-o"]
    subprocess.run([*link, sector, linked], check=True, stderr=subprocess.DEVNULL)
    assert sector.stat().st_size == 512
    made = PyCdlib()
    made.new()
    content = sector.read_bytes().ljust(2048, b"\0")
    made.add_fp(io.BytesIO(content), len(content), "/BOOT.;1")
    made.add_eltorito("/BOOT.;1", boot_load_size=4)
    path = directory / "install.iso"
    with path.open("wb") as stream:
        made.write_fp(stream)
    made.close()
    return path


def test_a_machine_is_installed_from_an_iso(machines: Machines, tmp_path: Path) -> None:
    path = iso(tmp_path)
    with built(machines, image="boot: cdrom", entry=f"cdrom: {path}") as (orchestrator, instance):
        until(lambda: "from its disk" in machines.console(instance), "what was installed")
        assert "from the CD-ROM" in machines.console(instance)
        assert found(orchestrator) == []
        path.unlink()
        ended = orchestrator.reboot("one", force=True)
        assert (ended.vm_state, fault(ended), found(orchestrator)) == ("ACTIVE", "", [])
        until(lambda: "from its disk" in machines.console(instance), "what was installed")
        assert "from the CD-ROM" not in machines.console(instance)
        orchestrator.delete("one")


def test_an_iso_that_is_gone_when_it_is_to_be_installed(machines: Machines, tmp_path: Path) -> None:
    file = machines.file(image="boot: cdrom", entry=f"cdrom: {iso(tmp_path)}")
    (tmp_path / "install.iso").unlink()
    with machines.open() as orchestrator:
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        assert f"the CD-ROM {tmp_path}/install.iso of domain one-" in fault(ended.instance)
        assert machines.libvirtd.machines() == []


def test_secure_boot(machines: Machines) -> None:
    with built(machines, memory="256MiB", image=", firmware: uefi-secure") as (orchestrator, instance):
        until(lambda: "ready after" in machines.console(instance), "the guest's marker")
        assert "UEFI Secure Boot is enabled" in machines.console(instance)
        assert found(orchestrator) == []
        orchestrator.delete("one")


_LOOK = """\
#!/bin/busybox sh
for module in $(cat /more/order); do insmod /more/$module; done
echo "slipway-guest: tpm $(cat /sys/class/tpm/tpm0/tpm_version_major)" > /dev/ttyS0
mkdir /mnt
mount -t virtiofs src /mnt && echo "slipway-guest: share $(cat /mnt/told)" > /dev/ttyS0
echo "by the guest" > /mnt/answer && echo "slipway-guest: answered" > /dev/ttyS0
"""


def looking(guest: Guest, directory: Path) -> Guest:
    """The guest that looks for a TPM and mounts a share."""
    unpacked, root = unpack_kernel(directory), directory / "root"
    for name in ("more", "start"):
        (root / name).mkdir(parents=True)
    there = {path.stem.replace("-", "_"): path for path in unpacked.glob("lib/modules/*/kernel/**/*.ko")}
    order: list[Path] = []
    for module in ("virtiofs", "tpm_crb"):
        with_needed(module, there, order)
    for path in order:
        shutil.copy(path, root / "more")
    (root / "more" / "order").write_text("\n".join(path.name for path in order))
    (root / "start" / "look").write_text(_LOOK)
    (root / "start" / "look").chmod(0o755)
    initrd = directory / "initrd.gz"
    initrd.write_bytes(guest.initrd.read_bytes() + archive(root))
    return Guest(next(unpacked.glob("boot/vmlinuz-*")), initrd)


@pytest.mark.skipif(shutil.which("swtpm_setup") is None, reason="swtpm-tools is not installed")
def test_a_tpm_and_a_directory_of_the_host(machines: Machines, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "told").write_text("by the host")
    guest = looking(machines.guest, tmp_path)
    says = f'kernel: {guest.kernel}, initrd: {guest.initrd}, cmdline: "{BOOT}", tpm: true'
    with built(machines, image=says, entry=f"shares: {{src: {shared}}}") as (orchestrator, instance):
        until(lambda: "answered" in machines.console(instance), "the guest's answer")
        assert "tpm 2" in machines.console(instance)
        assert "share by the host" in machines.console(instance)
        assert (shared / "answer").read_text() == "by the guest\n"
        assert found(orchestrator) == []
        orchestrator.stop("one", force=True)
        assert orchestrator.start("one").vm_state == "ACTIVE"
        orchestrator.delete("one")
        assert (shared / "told").exists()
    assert not [path for path in machines.libvirtd.root.rglob("*tpm*") if path.is_file()]


def test_what_a_guest_uses(machines: Machines) -> None:
    with built(machines) as (orchestrator, instance):
        until(lambda: "ready after" in machines.console(instance), "the guest's marker")
        meter = orchestrator.meter()
        (first,) = meter.look().guests
        assert (first.name, first.host, first.cpu, first.read) == ("one", "node-1", None, None)
        assert 0 < first.resident < 2 * instance.request.flavor.memory
        time.sleep(0.5)
        (then,) = meter.look().guests
        assert then.cpu is not None
        assert 0 <= then.cpu < 4
        assert (then.received, then.sent) == (0, 0)
        orchestrator.pause("one")
        time.sleep(0.2)
        meter.look()
        time.sleep(0.5)
        (paused,) = meter.look().guests
        assert paused.cpu is not None
        assert paused.cpu < 0.2
        orchestrator.stop("one", force=True)
        assert meter.look().guests == ()
