"""Bring a domain that runs back to how it was defined, as far as a hypervisor can while its guest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from xml.etree import ElementTree

import libvirt

from slipway.drivers.compute.details import ACTIONS, NAMESPACE, OURS, PINS, nic
from slipway.drivers.compute.shape import Shape, changed, shape_of

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_ACTIONS = {
    "destroy": libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY,
    "restart": libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_RESTART,
}
"""Those that our XML has."""
_EVENTS = dict(zip(ACTIONS, range(len(ACTIONS)), strict=True))
"""libvirt numbers what an action is for in this order."""


def conform(domain: libvirt.virDomain, xml: str, before: str) -> None:
    """Give it title, vCPUs, memory, NICs and disks of `xml`; take away what NICs it has besides, and disks of `before`.

    Disks that somebody else has attached stay: a guest may have them mounted. Raises libvirt's errors.
    """
    wanted, found = shape_of(xml), shape_of(domain.XMLDesc(0))
    for file in (shape_of(before).disks - wanted.disks) & found.disks:
        domain.detachDeviceFlags(_disk_of(domain.XMLDesc(0), file), _LIVE)
    for device in _missing(xml, wanted, found):
        domain.attachDeviceFlags(device, _LIVE)
    for mac in found.macs - wanted.macs:
        domain.detachDeviceFlags(nic_of(domain.XMLDesc(0), mac), _LIVE)
    if found.vcpus != wanted.vcpus:
        domain.setVcpusFlags(wanted.vcpus, _LIVE)
    if found.memory != wanted.memory:
        domain.setMemoryFlags(wanted.memory >> 10, _LIVE)
    nics = {nic(mac): mac for mac in wanted.macs}
    for detail in changed(wanted, found, runs=True):
        if detail not in nics:
            _have(domain, detail, ElementTree.fromstring(xml))
        elif (interface := nic_of(xml, nics[detail])) is not None:
            domain.updateDeviceFlags(interface, _LIVE)


def _have(domain: libvirt.virDomain, detail: str, root: ElementTree.Element) -> None:
    """Have one detail as it is defined, of those that can be while it runs."""
    if detail == "its title":
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, root.findtext("title"), None, None, _LIVE)
    elif detail == OURS:
        ours = _unqualified(root.find(f"metadata/{{{NAMESPACE}}}instance"))
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, ours, "slipway", NAMESPACE, _LIVE)
    elif detail == PINS:
        _pin(domain, root)
    for name, event in _EVENTS.items():
        if detail == f"its {name}" and (action := _ACTIONS.get(root.findtext(name) or "")) is not None:
            domain.setLifecycleAction(event, action, _LIVE)


def _unqualified(element: ElementTree.Element | None) -> str | None:
    """The element without namespaces, for libvirt gives it the one that it is told."""
    if element is None:
        return None
    for one in element.iter():
        one.tag = one.tag.rpartition("}")[2]
    return ElementTree.tostring(element, encoding="unicode")


def _pin(domain: libvirt.virDomain, root: ElementTree.Element) -> None:
    """Pin each vCPU to the CPU that it is defined for."""
    count = domain.connect().getInfo()[2]
    for pin in root.iterfind("cputune/vcpupin"):
        cpus = tuple(str(cpu) == pin.get("cpuset") for cpu in range(count))
        domain.pinVcpuFlags(int(pin.get("vcpu", "0")), cpus, _LIVE)


def leaving(now: str, xml: str, before: str) -> tuple[str, ...]:
    """What of `before` a domain has still that `xml` has not, in words; `now` is its XML as it runs."""
    was, wanted, found = shape_of(before), shape_of(xml), shape_of(now)
    nics = sorted((was.macs - wanted.macs) & found.macs)
    disks = sorted((was.disks - wanted.disks) & found.disks)
    return (*(f"NIC {mac}" for mac in nics), *(f"disk {file}" for file in disks))


def nic_of(xml: str, mac: str) -> str | None:
    """The NIC with this MAC in a domain's XML, as it is attached; None where there is none."""
    for found, device in _devices(xml, "interface", "mac", "address"):
        if found.lower() == mac.lower():
            for alias in device.findall("alias"):
                device.remove(alias)
            return ElementTree.tostring(device, encoding="unicode")
    return None


def _disk_of(xml: str, file: str) -> str | None:
    disks = (disk for found, disk in _devices(xml, "disk", "source", "file") if found == file)
    return next((ElementTree.tostring(disk, encoding="unicode") for disk in disks), None)


def _missing(xml: str, wanted: Shape, found: Shape) -> Iterator[str]:
    there = (nic_of(xml, mac) for mac in sorted(wanted.macs - found.macs))
    lost = (_disk_of(xml, file) for file in sorted(wanted.disks - found.disks))
    return (device for device in chain(there, lost) if device is not None)


def _devices(xml: str, kind: str, child: str, attribute: str) -> Iterator[tuple[str, ElementTree.Element]]:
    """The devices of a kind in a domain's XML, each with what tells it from others."""
    for device in ElementTree.fromstring(xml).iterfind(f"devices/{kind}"):
        named = device.find(child)
        if named is not None:
            yield named.get(attribute) or "", device
