"""What libvirt says of its machine."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

import libvirt

from slipway.model.measured import Hypervisor
from slipway.model.numa import cpus_text


def measured(libvirtd: libvirt.virConnect) -> Hypervisor:
    """Its CPUs, memory and NUMA cells, and the versions. Raises its errors."""
    _, mebibytes, cpus, *_ = libvirtd.getInfo()
    kind, version, library = libvirtd.getType(), libvirtd.getVersion(), libvirtd.getLibVersion()
    text = f"{kind} {_version(version)}, libvirt {_version(library)}"
    return Hypervisor(text, cpus, mebibytes << 20, tuple(cells(libvirtd.getCapabilities())))


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def cells(capabilities: str) -> Sequence[str]:
    """The CPUs of each NUMA cell that there is."""
    found = ElementTree.fromstring(capabilities).iterfind("host/topology/cells/cell")
    cpus = ([int(cpu.get("id", "0")) for cpu in cell.iterfind("cpus/cpu")] for cell in found)
    # One may have memory alone.
    return tuple(cpus_text(one) for one in cpus if one)
