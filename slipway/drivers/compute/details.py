"""What our XML says of a domain besides its size and which devices it has, by names: each can be edited past us.

What libvirt fills in by itself (addresses, aliases, controllers) is not in it, nor what we never say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

NAMESPACE = "urn:slipway:instance:1"
"""Of our element in the domain's metadata. A domain without it is not ours."""

NAME = "its name"
OURS = "our element in its metadata"
PINS = "what its vCPUs are pinned to"
ACTIONS = ("on_poweroff", "on_reboot", "on_crash")

_TEXTS = {
    NAME: "name",
    "its title": "title",
    "the most vCPUs": "vcpu",
    "its kernel": "os/kernel",
    "its initrd": "os/initrd",
    "its kernel's command line": "os/cmdline",
    **{f"its {action}": action for action in ACTIONS},
}
_ATTRIBUTES = {
    "its hypervisor": (".", "type"),
    "its machine": ("os/type", "machine"),
    "its firmware": ("os", "firmware"),
    "its clock": ("clock", "offset"),
    "its huge pages": ("memoryBacking/hugepages/page", "size"),
    "how its memory is shared": ("memoryBacking/access", "mode"),
    "its console's log": ("devices/serial/log", "file"),
    "where its screen listens": ("devices/graphics/listen", "address"),
    "the channel of its agent": ("devices/channel/target[@type='virtio']", "name"),
    "its TPM": ("devices/tpm/backend", "version"),
    "its source of randomness": ("devices/rng", "model"),
    "its balloon": ("devices/memballoon", "model"),
}
_OF_NIC = {
    "interface": (".", "type"),
    "bridge": ("source", "bridge"),
    "model": ("model", "type"),
    "MTU": ("mtu", "size"),
    "link": ("link", "state"),
    "filter": ("filterref", "filter"),
    "at most in": ("bandwidth/inbound", "average"),
    "at most out": ("bandwidth/outbound", "average"),
}
_OF_DISK = {
    "device": ("target", "dev"),
    "bus": ("target", "bus"),
    "format": ("driver", "type"),
    "cache": ("driver", "cache"),
}

NOT_WHILE_IT_RUNS = frozenset({"its CPU", "its firmware", "the most vCPUs", "the most memory"})
"""libvirt chooses CPU and firmware when it starts a domain; what is changed while it runs leaves the most as it was."""


def details_of(root: Element) -> Mapping[str, str]:
    """They, by their names in words; "" is what is not said."""
    found = {name: root.findtext(path) or "" for name, path in _TEXTS.items()}
    found |= {name: attribute(root, *where) for name, where in _ATTRIBUTES.items()}
    pins = root.iterfind("cputune/vcpupin")
    found[PINS] = ", ".join(sorted(f"{pin.get('vcpu')}: {pin.get('cpuset')}" for pin in pins))
    found[OURS] = ", ".join(sorted(_metadata(root)))
    found["what it boots from"] = _boots(root)
    found["its CPU"] = _cpu(root)
    memory = root.find("memory")
    found["the most memory"] = "" if memory is None else f"{bytes_of(memory) >> 10} KiB"
    for device in root.iterfind("devices/interface"):
        mac = attribute(device, "mac", "address")
        found[nic(mac)] = _said(device, _OF_NIC, link="up")
        found[tap_of(mac)] = attribute(device, "target", "dev")
    shares = root.iterfind("devices/filesystem")
    found["its shares"] = ", ".join(
        sorted(f"{attribute(one, 'target', 'dir')}: {attribute(one, 'source', 'dir')}" for one in shares)
    )
    found["its CD-ROM drive"] = ""
    for device in root.iterfind("devices/disk"):
        if device.get("device") == "cdrom":
            found["its CD-ROM drive"] = attribute(device, "target", "dev")
            continue
        read_only = " read-only" if device.find("readonly") is not None else ""
        found[f"its disk {attribute(device, 'source', 'file')}"] = _said(device, _OF_DISK) + read_only
    return found


def is_alike(name: str, defined: str, found: str) -> bool:
    """Whether this detail is as defined. libvirt says which version a machine is that was defined without one."""
    if name == "its machine" and not re.search(r"\d\.\d", defined):
        return defined in (found, re.sub(r"^pc-(?:(q35)|i440fx)-.*", lambda version: version[1] or "pc", found))
    return defined == found


def nic(mac: str) -> str:
    """The name of what is said of a NIC."""
    return f"its NIC {mac.lower()}"


def tap_of(mac: str) -> str:
    """The name of what is said of a NIC's tap."""
    return f"the tap of its NIC {mac.lower()}"


def bytes_of(element: Element) -> int:
    """How much memory an element says; libvirt itself always says KiB."""
    return int(element.text or "0") * _UNITS.get(element.get("unit", "KiB"), 1 << 10)


_UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def attribute(element: Element, path: str, name: str) -> str:
    """What the element at the path says by that name; "" where nothing is said."""
    found = element if path == "." else element.find(path)
    return "" if found is None else found.get(name, "")


def _said(device: Element, of: Mapping[str, tuple[str, str]], **usual: str) -> str:
    values = ((name, attribute(device, *where)) for name, where in of.items())
    return ", ".join(f"{name} {value}" for name, value in values if value != usual.get(name, ""))


def _metadata(root: Element) -> Iterator[str]:
    """Who wrote it last is left out: a worker that was replaced may have come late."""
    for element in root.iterfind(f"metadata/{{{NAMESPACE}}}instance/*"):
        name = element.tag.rpartition("}")[2]
        if name != "generation":
            yield f"{element.get('key') or name}={element.text or ''}"


def _boots(root: Element) -> str:
    """libvirt has a domain boot from its first disk where nothing is said."""
    ordered = [device.get("order", "") for device in root.iterfind("devices/*/boot")]
    return "its devices in an order" if ordered else ", ".join(_devices(root)) or "hd"


def _devices(root: Element) -> Iterator[str]:
    return (boot.get("dev", "") for boot in root.iterfind("os/boot"))


def _cpu(root: Element) -> str:
    mode = attribute(root, "cpu", "mode")
    cells = (f"{cell.get('cpus')} with {cell.get('memory')}" for cell in root.iterfind("cpu/numa/cell"))
    return ", ".join((f"{mode} {root.findtext('cpu/model') or ''}".strip() if mode == "custom" else mode, *cells))
