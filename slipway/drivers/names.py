"""The names of the drivers that are installed: known without a driver's being loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from slipway.yamlfile.mistakes import did_you_mean, quoted

_all = cache(entry_points)

_MEANT = {"kvm": "libvirt", "qemu": "libvirt", "simulated": "sim", "file": "qcow2", "bridge": "linuxbridge"}
"""What people write for a driver that has another name."""


def points(group: str) -> EntryPoints:
    """The entry points of a group. All that are installed are looked for, once: it takes as long for one group."""
    return _all().select(group=group)


@cache
def installed(family: str) -> Mapping[str, EntryPoint]:
    """The drivers of a family (compute, wiring, disk, network) by their names."""
    return {entry.name: entry for entry in points(f"slipway.drivers.{family}")}


def unknown(family: str, name: str) -> str | None:
    """What is wrong with a driver's name; None where it is installed."""
    known = sorted(installed(family))
    if name in known:
        return None
    meant = f", did you mean {quoted(_MEANT[name])}?" if _MEANT.get(name) in known else did_you_mean(name, known)
    return f"no {family} driver {quoted(name)} is installed{meant} (there are: {', '.join(known) or 'none'})"
