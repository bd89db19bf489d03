"""What of a domain can be changed past us, compared with how it was defined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from msgspec import Struct

from slipway.drivers.compute.details import NAME, NOT_WHILE_IT_RUNS, PINS, bytes_of, details_of, is_alike


class Shape(Struct, frozen=True):
    """A domain's vCPUs, its memory in bytes, the MACs of its NICs, the files of its disks, and all else that we say.

    `details`: see `slipway.drivers.compute.details`.
    """

    vcpus: int
    memory: int
    macs: frozenset[str]
    disks: frozenset[str]
    details: Mapping[str, str] = {}


def shape_of(xml: str) -> Shape:
    """The shape that a domain's XML gives it: the vCPUs and memory that it has at present. Raises `ValueError`."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    vcpu = root.find("vcpu")
    count = 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or "1")
    return Shape(
        count,
        _memory(root),
        _attributes(root, "interface/mac", "address"),
        # What a guest ejects is no disk that it has lost.
        _attributes(root, "disk[@device!='cdrom']/source", "file"),
        details_of(root),
    )


def unreadable(error: ValueError) -> str:
    """In words, of a domain of which the XML that was kept has no shape."""
    return f"the file with its XML is damaged: {error}"


def differences(defined: Shape, found: Shape, *, runs: bool = False) -> Iterator[str]:
    """In which way the domain that was found is otherwise, in words. QEMU gives memory in whole MiB.

    `runs`: it was found as it runs, in which libvirt fills in some of what was defined; disks that it has besides are
    `brought`.
    """
    if found.vcpus != defined.vcpus:
        yield f"it has {_counted(found.vcpus, 'vCPU')} instead of {defined.vcpus}"
    if _whole(found.memory) != _whole(defined.memory):
        yield f"it has {found.memory >> 10} KiB of memory instead of {defined.memory >> 10}"
    for what, was, now in (("NIC", defined.macs, found.macs), ("disk", defined.disks, found.disks)):
        for name in sorted(was - now):
            yield f"its {what} {name} is detached"
        for name in sorted(now - was) if what == "NIC" or not runs else ():
            yield f"a {what} {name} is attached"
    for name in changed(defined, found, runs=runs):
        yield f"{name} is {found.details[name] or 'not there'} instead of {defined.details[name] or 'nothing'}"


def brought(defined: Shape, found: Shape) -> Sequence[str]:
    """The disks that somebody else has attached."""
    return sorted(found.disks - defined.disks)


def changed(defined: Shape, found: Shape, *, runs: bool) -> Iterator[str]:
    """The details that are otherwise; of a device that is detached, or of which nothing is known, there are none."""
    for name, was in defined.details.items():
        # What it was pinned to while it runs, and never was to be, libvirt keeps until it ends.
        if name not in found.details or (runs and (name in NOT_WHILE_IT_RUNS or (name == PINS and not was))):
            continue
        if not is_alike(name, was, found.details[name]):
            yield name


def is_the_same(defined: Shape, found: Shape) -> bool:
    """Whether a domain that bears nobody's tag is the one that was defined: it has the name, and these disks."""
    return found.details.get(NAME) == defined.details.get(NAME) and found.disks == defined.disks


def _memory(root: Element) -> int:
    element = root.find("currentMemory")
    if element is None:
        element = root.find("memory")
    return 0 if element is None else bytes_of(element)


def _attributes(root: Element, path: str, attribute: str) -> frozenset[str]:
    return frozenset(
        value.lower() if attribute == "address" else value
        for element in root.iterfind(f"devices/{path}")
        if (value := element.get(attribute))
    )


def _whole(memory: int) -> int:
    return -(-memory // (1 << 20))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
