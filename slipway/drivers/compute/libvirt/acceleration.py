"""Whether guests run under KVM here: known only once one has."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import msgspec

from slipway.drivers.compute.xmltext import Element
from slipway.drivers.files import file_name, locked, make_directories, replace
from slipway.errors import ComputeError
from slipway.model.machine import Acceleration
from slipway.model.request import Host

BOOT_WITHIN = 5.0
"""Seconds for the guest, which needs a tenth of one where KVM works, and minutes where KVM only interprets it."""

MARKER = b"slipway: a guest has booted"

_BOOT_SECTOR = bytes.fromhex(
    # Real mode: no interrupts, segments at 0, page tables at 0x1000 that map the first 2 MiB to themselves.
    "fa 31c0 8ed8 8ec0 8ed0 bc007c fc bf0010 b90018 f3ab c70600100320 c70600200330 c70600308300"
    # Load the GDT; CR4.PAE, CR3, EFER.LME, CR0.PG and CR0.PE; jump to 64-bit code.
    "660f0116977c 66b820000000 0f22e0 66b800100000 0f22d8 66b9800000c0 0f32 0d0001 0f30 0f20c0 660d01000080 0f22c0"
    "ea5d7c0800"
    # Long mode: data segment, CPUID; count down from 2^26; each character of the text to COM1 once it takes one; halt.
    "b810000000 8ed8 31c0 0fa2 b900000004 ffc9 75fc 48c7c6b97c0000 baf8030000 ac 84c0 7412 88c3 80c205 ec 80ea05 a820 "
    "74f5 88d8 ee ebe9 f4 ebfd"
    # The GDT's size and place; nothing, 64-bit code, data.
    "1700 a17c0000 0f1f4000 0000000000000000 ffff0000009aaf00 ffff00000092cf00"
) + MARKER.ljust(0x145, b"\0") + b"\x55\xaa"  # fmt: skip
"""The least guest that needs from KVM what a kernel needs: real mode, paging, long mode, an exit at each character.

It counts before it says anything: a KVM without the processor's help (PVM) interprets what runs in a kernel's mode, a
thousand times slower. It would say its few words in time, and a kernel would still unpack itself an hour later.
"""


_SLOW = (
    "guests of {} run under TCG, many times slower than under KVM: {}; `slipway host check` tries it again, and "
    "`accel: tcg` in the host's entry says that it is to be so"
)
_NOT_OFFERED = (
    "libvirt has none, so turn on the processor's virtualization (of a virtual machine: nested), load kvm_intel or "
    "kvm_amd, and start libvirtd anew"
)
_NOT_BOOTED = f"a guest did not boot under it within {BOOT_WITHIN:.3g} s, as in a machine that is virtual itself"


class _Answer(msgspec.Struct, frozen=True):
    """What was found out, and about which hypervisor on which machine."""

    about: str
    acceleration: Acceleration


class Prover:
    """Finds out once for each hypervisor, and keeps the answer in `acceleration/<host>.json` of the state directory.

    `/dev/kvm` and libvirt's capabilities may be there and guests still not run, in a machine that is virtual itself.
    """

    def __init__(
        self,
        host: Host,
        state: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._directory = state.absolute() / "acceleration"
        self._sleep = sleep
        self._clock = clock
        self._news = ""
        self._known: Acceleration | None = {"kvm": Acceleration.KVM, "tcg": Acceleration.TCG}.get(host.accel)

    def acceleration(self, libvirtd: libvirt.virConnect) -> Acceleration:
        """KVM where a guest has booted under it, else TCG; the first time it takes as long as that guest."""
        if self._known is None:
            self._known = self._recorded(libvirtd, ElementTree.fromstring(libvirtd.getCapabilities()))
        return self._known

    def news(self) -> str:
        """What to do about TCG, once, where it was found out just now that KVM does not work; else empty."""
        news, self._news = self._news, ""
        return news

    def _recorded(self, libvirtd: libvirt.virConnect, capabilities: ElementTree.Element) -> Acceleration:
        offered = capabilities.find("guest/arch/domain[@type='kvm']") is not None
        about = f"{libvirtd.getHostname()} {libvirtd.getVersion()} {_processor(capabilities)}"
        about = about if offered else f"{about} without KVM"
        path = f"{self._directory}/{file_name(self._host.name)}"
        try:
            make_directories(self._directory)
            with locked(self._directory):
                with suppress(FileNotFoundError, msgspec.DecodeError):
                    answer = msgspec.json.decode(Path(f"{path}.json").read_bytes(), type=_Answer)
                    if answer.about == about:
                        return answer.acceleration
                works = offered and boots(libvirtd, path, Acceleration.KVM, sleep=self._sleep, clock=self._clock)
                acceleration = Acceleration.KVM if works else Acceleration.TCG
                if not works:
                    self._news = _SLOW.format(self._host.name, _NOT_BOOTED if offered else _NOT_OFFERED)
                replace(f"{path}.json", msgspec.json.encode(_Answer(about, acceleration)))
                return acceleration
        except OSError as error:
            raise ComputeError(f"{self._host.name}: what is known of KVM cannot be kept: {error}") from error


def boots(
    libvirtd: libvirt.virConnect,
    path: str,
    acceleration: Acceleration,
    *,
    within: float = BOOT_WITHIN,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Whether the guest's text comes from its serial port. It ends with our connection, if not by us.

    `path` is that of its files without their endings; its directory is one that QEMU can read, and they are deleted.
    """
    image, log = f"{path}.img", f"{path}.log"
    replace(image, _BOOT_SECTOR.ljust(1 << 20, b"\0"))
    try:
        guest = libvirtd.createXML(_xml(image, log, acceleration), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    except libvirt.libvirtError:
        return False
    finally:
        os.unlink(image)
    try:
        give_up = clock() + within
        while clock() < give_up and _runs(guest):
            with suppress(FileNotFoundError):
                if MARKER in Path(log).read_bytes():
                    return True
            sleep(0.02)
        return False
    finally:
        with suppress(libvirt.libvirtError):
            guest.destroy()
        with suppress(FileNotFoundError):
            os.unlink(log)


def _processor(capabilities: ElementTree.Element) -> str:
    """A digest of the processor and what it can do.

    Not of all the capabilities: some change while the machine runs, as its memory does and the order of machine types.
    """
    names = ("host/cpu/arch", "host/cpu/vendor", "host/cpu/model")
    words = [capabilities.findtext(name, "") for name in names]
    features = sorted(feature.get("name", "") for feature in capabilities.iterfind("host/cpu/feature"))
    return hashlib.sha256(" ".join([*words, *features]).encode()).hexdigest()


def _runs(guest: libvirt.virDomain) -> bool:
    try:
        return bool(guest.state()[0] == libvirt.VIR_DOMAIN_RUNNING)
    except libvirt.libvirtError:
        return False


def _xml(image: str, log: str, acceleration: Acceleration) -> str:
    made = uuid.uuid4()
    domain = Element("domain", {"type": acceleration})
    domain.add("name", text=f"slipway-boot-{made.hex[:8]}")
    domain.add("uuid", text=str(made))
    domain.add("memory", {"unit": "MiB"}, "64")
    domain.add("vcpu", text="1")
    boot = domain.add("os")
    boot.add("type", {"arch": "x86_64", "machine": "q35"}, "hvm")
    boot.add("boot", {"dev": "hd"})
    features = domain.add("features")
    features.add("acpi")
    features.add("apic")
    if acceleration is Acceleration.KVM:
        domain.add("cpu", {"mode": "host-model", "check": "partial"})
    devices = domain.add("devices")
    disk = devices.add("disk", {"type": "file", "device": "disk"})
    disk.add("driver", {"name": "qemu", "type": "raw"})
    disk.add("source", {"file": image})
    disk.add("target", {"dev": "vda", "bus": "virtio"})
    serial = devices.add("serial", {"type": "file"})
    serial.add("source", {"path": log})
    serial.add("target", {"port": "0"})
    return domain.written()
