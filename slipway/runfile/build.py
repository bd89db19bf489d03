"""The dataclasses of a run file, made from a tree that passed all checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import fields

from slipway.model.network import AllocationPool, HostRoute
from slipway.model.request import (
    Boot,
    CpuMode,
    Firmware,
    Flavor,
    Host,
    Image,
    InjectedFile,
    InstanceRequest,
    NetworkRequest,
    Readiness,
    ServerGroup,
    Sign,
    Simulation,
    Volume,
)
from slipway.runfile.entries import (
    DEFAULT_GATEWAY,
    FaultEntry,
    InstanceEntry,
    NetworkEntry,
    PortEntry,
    RunFile,
    SubnetEntry,
)
from slipway.runfile.formats import parse_address, parse_cidr, parse_mac, parse_range
from slipway.runfile.guests import resolve
from slipway.runfile.instances import names_of
from slipway.runfile.security import build_security_group
from slipway.settings import Settings
from slipway.yamlfile.document import Document
from slipway.yamlfile.units import parse_duration, parse_size

Tree = dict[str, Any]


def build(document: Document, workflow: str) -> RunFile:
    """The run file."""
    tree: Tree = document.value
    settings = build_settings(tree.get("settings", {}))
    return RunFile(
        path=Path(document.name),
        project=tree.get("project", "default"),
        workflow=workflow,
        settings=settings,
        hosts=tuple(_host(name, entry, settings) for name, entry in tree.get("hosts", {}).items()),
        networks=tuple(_network(name, entry) for name, entry in tree.get("networks", {}).items()),
        security_groups=tuple(build_security_group(*item) for item in tree.get("security_groups", {}).items()),
        instances=_instances(document, tree),
        faults=tuple(map(_fault, tree.get("faults", ()))),
    )


def _fault(entry: Tree) -> FaultEntry:
    error = {"error": entry["raise"]} if "raise" in entry else {}
    return FaultEntry(**_only(entry, "at", "call", "mode"), **error)


def _only(entry: Tree, *keys: str) -> Tree:
    """What an entry says under these keys; what it does not say is left to the dataclass's default."""
    return {key: entry[key] for key in keys if key in entry}


def build_settings(entry: Tree) -> Settings:
    """The settings: durations in seconds, lists as tuples, MAC addresses in one spelling."""
    floats = {field.name for field in fields(Settings) if field.type is float}
    values: Tree = {}
    for key, value in entry.items():
        if key in floats:
            values[key] = parse_duration(value) if isinstance(value, str) else float(value)
        elif key == "base_mac":
            values[key] = parse_mac(value)
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return Settings(**values)


def _host(name: str, entry: Tree, settings: Settings) -> Host:
    ratios = entry.get("ratios", {})
    return Host(
        name=name,
        vcpus=entry["vcpus"],
        memory=parse_size(entry["memory"]),
        disk=parse_size(entry["disk"]),
        # YAML's null is the driver of that name, which wires nothing.
        wiring=entry.get("wiring") or "null",
        cpu_ratio=float(ratios.get("cpu", settings.cpu_ratio)),
        memory_ratio=float(ratios.get("memory", settings.memory_ratio)),
        disk_ratio=float(ratios.get("disk", settings.disk_ratio)),
        simulate=_simulation(entry.get("simulate", {})),
        **_only(entry, "compute", "disks", "zone", "enabled", "uri", "accel", "netns", "physical_nic"),
    )


def _simulation(entry: Tree) -> Simulation:
    return Simulation(
        delay=parse_duration(entry.get("delay", "0s")),
        fail=tuple(entry.get("fail", ())),
        acpi=entry.get("acpi", True),
        macs=tuple(map(parse_mac, entry["macs"])) if "macs" in entry else None,
        dhcp_options=tuple(entry.get("dhcp_options", {}).items()),
    )


def _network(name: str, entry: Tree) -> NetworkEntry:
    provider = entry.get("provider", {})
    kind = provider.get("type")
    return NetworkEntry(
        name=name,
        mtu=entry.get("mtu", 1450 if kind == "vxlan" else 1500),
        provider_network_type=kind,
        provider_physical_network=provider.get("physical_network"),
        provider_segmentation_id=provider.get("segmentation_id"),
        subnets=tuple(_subnet(*item) for item in entry.get("subnets", {}).items()),
        ports=tuple(_port(*item) for item in entry.get("ports", {}).items()),
        **_only(entry, "shared", "port_security_enabled"),
    )


def _subnet(name: str, entry: Tree) -> SubnetEntry:
    gateway = entry.get("gateway", DEFAULT_GATEWAY)
    routes = entry.get("host_routes", ())
    return SubnetEntry(
        name=name,
        cidr=str(parse_cidr(entry["cidr"])),
        gateway_ip=gateway if gateway in (None, DEFAULT_GATEWAY) else _address(gateway),
        pools=tuple(AllocationPool(*map(str, parse_range(pool))) for pool in entry.get("pools", ())),
        dns=tuple(map(_address, entry.get("dns", ()))),
        host_routes=tuple(HostRoute(str(parse_cidr(r["destination"])), _address(r["nexthop"])) for r in routes),
        **_only(entry, "ipv6_ra_mode", "ipv6_address_mode", "enable_dhcp"),
    )


def _address(text: str) -> str:
    """The address in its usual spelling."""
    return str(parse_address(text))


def _port(name: str, entry: Tree) -> PortEntry:
    return PortEntry(
        name=name,
        fixed_ip=_address(entry["fixed_ip"]) if "fixed_ip" in entry else None,
        mac_address=parse_mac(entry["mac_address"]) if "mac_address" in entry else None,
        security_groups=tuple(entry["security_groups"]) if "security_groups" in entry else None,
    )


def _image(document: Document, name: str, entry: Tree) -> Image:
    files: Tree = {key: resolve(document, entry[key]) for key in ("path", "kernel", "initrd") if key in entry}
    if "://" in entry.get("path", ""):
        files["path"] = entry["path"]
    sizes: Tree = {key: parse_size(entry[key]) for key in ("min_disk", "min_memory", "size") if key in entry}
    return Image(
        name=name,
        **files,
        **sizes,
        firmware=Firmware(entry.get("firmware", Firmware.BIOS)),
        boot=Boot(entry.get("boot", Boot.DISK)),
        **_only(entry, "format", "sha256", "cmdline", "status", "machine"),
    )


def _flavor(name: str, entry: Tree) -> Flavor:
    return Flavor(
        name=name,
        vcpus=entry["vcpus"],
        memory=parse_size(entry["memory"]),
        disk=parse_size(entry["disk"]),
        cpu_mode=CpuMode(entry.get("cpu_mode", CpuMode.HOST_MODEL)),
        pin_cpus=tuple(entry.get("pin_cpus", ())),
        hugepages=parse_size(entry.get("hugepages", "0B")),
        **_only(entry, "numa_cells", "shared_memory"),
    )


def _instances(document: Document, tree: Tree) -> tuple[InstanceEntry, ...]:
    flavors = {name: _flavor(name, entry) for name, entry in tree.get("flavors", {}).items()}
    images = {name: _image(document, name, entry) for name, entry in tree.get("images", {}).items()}
    groups = {name: ServerGroup(name, entry["policy"]) for name, entry in tree.get("server_groups", {}).items()}
    entries = tree.get("instances", {})
    expanded = {name: names_of(name, entry) for name, entry in entries.items()}
    made = []
    for entry_name, entry in entries.items():
        common = {
            "project": tree.get("project", "default"),
            "flavor": flavors[entry["flavor"]],
            "image": images[entry["image"]],
            "networks": tuple(map(_nic, entry["networks"])) if "networks" in entry else None,
            "security_groups": tuple(entry.get("security_groups", ())),
            "group": groups[entry["group"]] if "group" in entry else None,
            "disks": tuple(_further_disk(document, disk) for disk in entry.get("disks", ())),
            "metadata": tuple(entry.get("metadata", {}).items()),
            "wait_for": tuple(_wait_for(entry.get("wait_for", {}))),
            "ssh_keys": tuple(tree["keypairs"][name] for name in entry.get("keypairs", ())),
            "files": tuple(
                InjectedFile(path, file["content"], **_only(file, "mode"))
                for path, file in entry.get("files", {}).items()
            ),
            **_only(entry, "user_data", "zone", "host"),
        }
        before = (name for other in entry.get("depends_on", ()) for name in expanded.get(other, (other,)))
        depends_on = tuple(dict.fromkeys(before))
        position = document.where(("instances", entry_name))
        made += [InstanceEntry(InstanceRequest(name, **common), depends_on, position) for name in expanded[entry_name]]
    return tuple(made)


def _wait_for(entry: Tree) -> Iterator[Readiness]:
    """In the order in which a guest comes to it, whatever that of the file is."""
    for sign in Sign:
        if sign in entry:
            said = entry[sign] if sign is Sign.MARKER else {"within": entry[sign]}
            yield Readiness(sign, parse_duration(said["within"]), said.get("text", ""))


def _further_disk(document: Document, entry: str | Tree) -> int | Volume:
    if isinstance(entry, str):
        return parse_size(entry)
    return Volume(resolve(document, entry["volume"]), entry["format"])


def _nic(entry: str | Tree) -> NetworkRequest:
    if isinstance(entry, str):
        return NetworkRequest(network=entry)
    fixed_ip = _address(entry["fixed_ip"]) if "fixed_ip" in entry else None
    return NetworkRequest(network=entry.get("network"), fixed_ip=fixed_ip, port=entry.get("port"))
