"""What of a domain can be changed past us, compared with how it was defined."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from msgspec import Struct


class Shape(Struct, frozen=True):
    """A domain's vCPUs, its memory in bytes, the MACs of its NICs and the files of its disks."""

    vcpus: int
    memory: int
    macs: frozenset[str]
    disks: frozenset[str]


def shape_of(xml: str) -> Shape:
    """The shape that a domain's XML gives it: the vCPUs and memory that it has at present. Raises `ValueError`."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    vcpu = root.find("vcpu")
    count = 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or "1")
    return Shape(
        count, _memory(root), _attributes(root, "interface/mac", "address"), _attributes(root, "disk/source", "file")
    )


def unreadable(error: ValueError) -> str:
    """In words, of a domain of which the XML that was kept has no shape."""
    return f"the file with its XML is damaged: {error}"


def differences(defined: Shape, found: Shape) -> Iterator[str]:
    """In which way the domain that was found is otherwise, in words. QEMU gives memory in whole MiB."""
    if found.vcpus != defined.vcpus:
        yield f"it has {_counted(found.vcpus, 'vCPU')} instead of {defined.vcpus}"
    if _whole(found.memory) != _whole(defined.memory):
        yield f"it has {found.memory >> 10} KiB of memory instead of {defined.memory >> 10}"
    for what, was, now in (("NIC", defined.macs, found.macs), ("disk", defined.disks, found.disks)):
        for name in sorted(was - now):
            yield f"its {what} {name} is detached"
        for name in sorted(now - was):
            yield f"a {what} {name} is attached"


def _memory(root: Element) -> int:
    element = root.find("currentMemory")
    if element is None:
        element = root.find("memory")
    if element is None or not element.text:
        return 0
    return int(element.text) * _UNITS.get(element.get("unit", "KiB"), 1 << 10)


_UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
"""libvirt itself always says KiB."""


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
