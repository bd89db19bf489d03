"""Settings, hosts and requests for instances, made from entries of a run file that are right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec.structs import fields

from slipway.model.formats import parse_address, parse_mac
from slipway.model.request import (
    NAMED_IMAGE,
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
    Share,
    Sign,
    Simulation,
    Volume,
)
from slipway.runfile.guests import resolve
from slipway.settings import Settings
from slipway.yamlfile.document import Document
from slipway.yamlfile.units import parse_duration, parse_size

Tree: TypeAlias = dict[str, Any]


def address(text: str) -> str:
    """The address in its usual spelling."""
    return str(parse_address(text))


def only(entry: Tree, *keys: str) -> Tree:
    """What an entry says under these keys; what it does not say is left to the dataclass's default."""
    return {key: entry[key] for key in keys if key in entry}


def make_settings(entry: Tree) -> Settings:
    """The settings: durations in seconds, lists as tuples, MAC addresses in one spelling."""
    floats = {field.name for field in fields(Settings) if isinstance(field.default, float)}
    values: Tree = {}
    for key, value in entry.items():
        if key in floats:
            values[key] = parse_duration(value) if isinstance(value, str) else float(value)
        elif key == "base_mac":
            values[key] = parse_mac(value)
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return Settings(**values)


def make_host(name: str, entry: Tree, settings: Settings) -> Host:
    """The host; where it has no ratios of its own, those of the settings."""
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
        labels=_labels(entry, "labels"),
        numa=tuple(map(str, entry.get("numa", ()))),
        **only(entry, "compute", "disks", "zone", "enabled", "uri", "accel", "netns", "physical_nic"),
    )


def _labels(entry: Tree, key: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(entry.get(key, {}).items()))


def _simulation(entry: Tree) -> Simulation:
    return Simulation(
        delay=parse_duration(entry.get("delay", "0s")),
        fail=tuple(entry.get("fail", ())),
        acpi=entry.get("acpi", True),
        macs=tuple(map(parse_mac, entry["macs"])) if "macs" in entry else None,
        dhcp_options=tuple(entry.get("dhcp_options", {}).items()),
    )


def make_image(document: Document, name: str, entry: Tree) -> Image:
    """The image; its paths are relative to the file."""
    files: Tree = {key: resolve(document, entry[key]) for key in ("path", "kernel", "initrd") if key in entry}
    if "://" in entry.get("path", "") or entry.get("path", "").startswith(NAMED_IMAGE):
        files["path"] = entry["path"]
    sizes: Tree = {key: parse_size(entry[key]) for key in ("min_disk", "min_memory", "size") if key in entry}
    return Image(
        name=name,
        **files,
        **sizes,
        firmware=Firmware(entry.get("firmware", Firmware.BIOS)),
        boot=Boot(entry.get("boot", Boot.DISK)),
        **only(entry, "format", "sha256", "cmdline", "status", "machine", "vpn", "tpm"),
    )


def make_flavor(name: str, entry: Tree) -> Flavor:
    """The flavor."""
    return Flavor(
        name=name,
        vcpus=entry["vcpus"],
        memory=parse_size(entry["memory"]),
        disk=parse_size(entry["disk"]),
        cpu_mode=CpuMode(entry.get("cpu_mode", CpuMode.HOST_MODEL)),
        pin_cpus=tuple(entry.get("pin_cpus", ())),
        hugepages=parse_size(entry.get("hugepages", "0B")),
        requires=_labels(entry, "requires"),
        **only(entry, "numa_cells", "shared_memory"),
    )


def make_request(
    document: Document, name: str, entry: Tree, *, flavor: Flavor, image: Image, group: ServerGroup | None
) -> InstanceRequest:
    """The request for the instance of that name; of an entry with `count` it is one of several."""
    keypairs: Tree = document.value.get("keypairs", {})
    files = entry.get("files", {}).items()
    return InstanceRequest(
        name=name,
        flavor=flavor,
        image=image,
        networks=tuple(map(_nic, entry["networks"])) if "networks" in entry else None,
        project=document.value.get("project", "default"),
        security_groups=tuple(entry.get("security_groups", ())),
        group=group,
        disks=tuple(_further_disk(document, disk) for disk in entry.get("disks", ())),
        metadata=tuple(entry.get("metadata", {}).items()),
        requires=_labels(entry, "requires"),
        ssh_keys=tuple(dict.fromkeys(_keys(keypairs, entry))),
        files=tuple(InjectedFile(path, file["content"], **only(file, "mode", "owner")) for path, file in files),
        wait_for=tuple(_wait_for(entry.get("wait_for", {}))),
        **only(entry, "user_data", "zone", "host", "autostart"),
        cdrom=resolve(document, entry["cdrom"]) if "cdrom" in entry else None,
        shares=tuple(Share(tag, resolve(document, path)) for tag, path in entry.get("shares", {}).items()),
        **only(entry, "timezone", "locale", "network_config", "config_drive"),
    )


def _keys(keypairs: Tree, entry: Tree) -> Iterator[str]:
    """Each line of the keypairs, which may be several keys' each."""
    for name in entry.get("keypairs", ()):
        # Of one whose file cannot be read there is no text, which is told where it is read.
        if isinstance(text := keypairs.get(name), str):
            yield from text.splitlines()


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
    fixed_ip = address(entry["fixed_ip"]) if "fixed_ip" in entry else None
    return NetworkRequest(network=entry.get("network"), fixed_ip=fixed_ip, port=entry.get("port"))
