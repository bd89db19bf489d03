"""What a file asks for and this machine knows that it cannot have: drivers, files, types of machine."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit

from slipway.drivers.names import unknown
from slipway.model.request import NAMED_IMAGE, Host, InstanceRequest, Volume
from slipway.runfile.records import Records
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import did_you_mean, quoted

_FAMILIES = {"compute": "compute", "wiring": "wiring", "disks": "disk"}
"""Which family's driver a host names by which key."""


def check_here(document: Document, records: Records, stored_images: Callable[[], Iterable[str]] = tuple) -> None:
    """Note it. Files are looked for where a host of the file would open them: the simulator opens none."""
    if text := unknown("network", records.settings.network):
        document.problem(("settings", "network"), text)
    for name, host in records.hosts.items():
        for key, family in _FAMILIES.items():
            if text := unknown(family, getattr(host, key)):
                document.problem(("hosts", name, key), text)
    for name, image in records.images.items():
        if (text := _machine_mistake(image.machine)) and any(map(_is_local, records.hosts.values())):
            document.problem(("images", name, "machine"), text)
        if image.path is not None and image.path.startswith(NAMED_IMAGE):
            named, known = image.path.removeprefix(NAMED_IMAGE), tuple(stored_images())
            if named not in known:
                document.problem(("images", name, "path"), f"unknown image {quoted(named)}", wrong=named, known=known)
    places: dict[NodePath, str] = {}
    for name, request in records.requests.items():
        hosts = _hosts_of(request, records)
        places.update(_opened(document, name, request, hosts))
        for share in request.shares if any(map(_is_local, hosts)) else ():
            if not os.path.isdir(share.path):
                place = ("instances", name, "shares", share.tag)
                document.problem(place, f"share {quoted(_written(document, place))} is no directory")
    for path, file in places.items():
        if path not in document.dropped and (why := _why_not(file)):
            document.problem(path, f"{path[-1]} {quoted(_written(document, path))} {why}")


def _written(document: Document, path: NodePath) -> str:
    """What stands at a place of the file."""
    value = document.value
    for step in path:
        value = value[step]
    return str(value)


def _hosts_of(request: InstanceRequest, records: Records) -> list[Host]:
    """Where an instance may go, as far as the file says."""
    return [
        host
        for host in records.hosts.values()
        if request.host in (None, host.name) and request.zone in (None, host.zone)
    ]


def _opened(
    document: Document, name: str, request: InstanceRequest, hosts: list[Host]
) -> Iterator[tuple[NodePath, str]]:
    """The files of this machine that are opened for an instance, each with the place where it is named."""
    image = request.image
    path: NodePath = ("images", document.value["instances"][name]["image"])
    if any(host.disks == "qcow2" for host in hosts):
        # One with a digest need not be there once it is in the cache.
        if image.path is not None and image.sha256 is None and not image.path.startswith(NAMED_IMAGE):
            if file := _local(image.path):
                yield (*path, "path"), file
            elif _parts(image.path) is not None:
                document.problem((*path, "path"), "an image by http needs its sha256 on hosts with disks: qcow2")
        for index, disk in enumerate(request.disks):
            if isinstance(disk, Volume):
                yield ("instances", name, "disks", index, "volume"), disk.path
    if any(map(_is_local, hosts)):
        for key in ("kernel", "initrd"):
            if (file := getattr(image, key)) is not None:
                yield (*path, key), file
        if request.cdrom is not None:
            yield ("instances", name, "cdrom"), request.cdrom


def _is_local(host: Host) -> bool:
    """Whether its guests are this machine's, by libvirt and QEMU."""
    parts = _parts(host.uri or "")
    return host.compute == "libvirt" and parts is not None and not parts.hostname


def _machine_mistake(machine: str) -> str | None:
    """What is wrong with a type of machine, by the QEMU that is installed here; without one nothing is known."""
    known = () if machine in _EVERY_QEMU else _machines()
    if not known or machine in known:
        return None
    return f"machine {quoted(machine)} is no type of machine of this QEMU{did_you_mean(machine, known)}"


_EVERY_QEMU = ("q35", "pc")


@cache
def _machines() -> tuple[str, ...]:
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        return ()
    try:
        done = subprocess.run([qemu, "-machine", "help"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    said = done.stdout
    return tuple(line.split()[0] for line in said.splitlines()[1:] if line.strip())


def _local(path: str) -> str | None:
    """The file of this machine that a path or a URL names."""
    if "://" not in path:
        return path
    parts = _parts(path)
    return unquote(parts.path) if parts is not None and parts.scheme == "file" else None


def _parts(url: str) -> SplitResult | None:
    """None where it is no URL, which is said already."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _why_not(file: str) -> str | None:
    try:
        mode = os.stat(file).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return None if stat.S_ISREG(mode) else "is not a file"
