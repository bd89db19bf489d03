"""A domain that somebody has made by hand, and what of it Slipway would define otherwise, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from msgspec import Struct

from slipway.drivers.compute.details import attribute, bytes_of
from slipway.model.request import Volume

_FORMATS = ("qcow2", "raw")
_KNOWN = frozenset(
    {"emulator", "controller", "disk", "interface", "serial", "console", "channel", "input", "graphics", "video"}
    | {"audio", "sound", "memballoon", "rng", "watchdog", "panic"}
)
"""Devices that a guest has again, or does without."""
_OTHERWISE = {
    "cputune": "its vCPUs are pinned or have shares",
    "memoryBacking": "its memory is made of huge pages, or shared",
    "numatune": "its memory is bound to NUMA cells",
    "blkiotune": "its disks have limits",
    "os/loader": "it boots by UEFI, whose variables would be lost",
    "cpu/numa": "it has NUMA cells",
    "launchSecurity": "its memory is encrypted",
}


RUNS = "it runs, and would go on with other devices: shut it down"


class HandMade(Struct, frozen=True):
    """A domain that bears nobody's tag, as it is defined; memory in bytes.

    `refused`: why it cannot be an instance as it is, in words; all of it is the hypervisor's to know.
    """

    id: str
    name: str
    vcpus: int
    memory: int
    machine: str = "q35"
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    disks: tuple[Volume, ...] = ()
    macs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def read_hand_made(xml: str, kept: tuple[str, ...] = ()) -> HandMade:
    """What a domain's XML says. `kept`: what is wrong with it besides that."""
    root = ElementTree.fromstring(xml)
    memory = root.find("memory")
    found = root.find("os/type")
    machine = Element("type") if found is None else found
    disks = [disk for disk in root.iterfind("devices/disk") if not _is_empty(disk)]
    return HandMade(
        id=root.findtext("uuid") or "",
        name=root.findtext("name") or "",
        vcpus=int(root.findtext("vcpu") or "1"),
        memory=0 if memory is None else bytes_of(memory),
        machine=_family(machine.get("machine", "")),
        kernel=root.findtext("os/kernel"),
        initrd=root.findtext("os/initrd"),
        cmdline=root.findtext("os/cmdline"),
        disks=tuple(_volume(disk) for disk in disks if not [*_of_disk(disk)]),
        macs=tuple(attribute(nic, "mac", "address").lower() for nic in root.iterfind("devices/interface")),
        refused=(*kept, *_refused(root, machine, disks)),
    )


def _refused(root: Element, machine: Element, disks: list[Element]) -> Iterator[str]:
    if root.get("type") not in ("kvm", "qemu") or machine.text != "hvm" or machine.get("arch") != "x86_64":
        yield f"it is no machine of QEMU's with an x86_64 ({root.get('type')}, {machine.get('arch')})"
    if _family(machine.get("machine", "")) not in ("q35", "pc"):
        yield f"its machine is {machine.get('machine')}, neither q35 nor pc"
    for path, why in _OTHERWISE.items():
        if root.find(path) is not None:
            yield why
    if root.find("os[@firmware='efi']") is not None and root.find("os/loader") is None:
        yield _OTHERWISE["os/loader"]
    for disk in disks:
        yield from _of_disk(disk)
    for nic in root.iterfind("devices/interface"):
        if (model := attribute(nic, "model", "type")) != "virtio":
            yield f"its NIC {attribute(nic, 'mac', 'address')} is {_a(model)}, not virtio"
    for device in dict.fromkeys(device.tag for device in root.iterfind("devices/*") if device.tag not in _KNOWN):
        yield f"it has {_a(device)}"
    if not disks and root.find("os/kernel") is None:
        yield "it has neither a disk nor a kernel"


def _of_disk(disk: Element) -> Iterator[str]:
    name = f"its disk {attribute(disk, 'target', 'dev')}"
    if disk.get("type") != "file":
        yield f"{name} is {_a(disk.get('type', ''))}, no file"
    if disk.get("device", "disk") != "disk":
        yield f"{name} is {_a(disk.get('device', ''))}: eject what is in it"
    elif (bus := attribute(disk, "target", "bus")) != "virtio":
        yield f"{name} is at {bus}, not at virtio"
    if (kind := attribute(disk, "driver", "type")) not in _FORMATS:
        yield f"{name} is of the format {kind or 'that is not said'}, neither qcow2 nor raw"
    for mode in ("readonly", "shareable", "encryption", "transient"):
        if disk.find(mode) is not None:
            yield f"{name} is {mode}"


def _volume(disk: Element) -> Volume:
    return Volume(attribute(disk, "source", "file"), attribute(disk, "driver", "type"))


def _is_empty(disk: Element) -> bool:
    """Whether it is a drive with nothing in it."""
    return disk.get("device") in ("cdrom", "floppy") and disk.find("source") is None


def _family(machine: str) -> str:
    return re.sub(r"^pc-(?:(q35)|i440fx)-.*", lambda version: version[1] or "pc", machine)


def _a(what: str) -> str:
    return f"{'an' if what[:1] in 'aeiou' else 'a'} {what or 'device'}"
