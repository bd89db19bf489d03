"""What several attributes of a record must be together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from slipway.checks.networkconfig import network_config_mistake
from slipway.checks.urls import url_mistake
from slipway.checks.userdata import user_data_mistake
from slipway.checks.words import Mistake, Place, shown, size_text
from slipway.model.limits import MOST_BYTES
from slipway.model.numa import parse_cpus
from slipway.model.request import (
    NAMED_IMAGE,
    Boot,
    Firmware,
    Flavor,
    Host,
    Image,
    InjectedFile,
    InstanceRequest,
    NetworkRequest,
    Readiness,
    Sign,
    Simulation,
    Volume,
)

Rule: TypeAlias = Callable[[Any], Iterator[Mistake]]
"""Says what is wrong with a record whose attributes are right by themselves."""

MOST_TEXT = 64 * 1024
"""Bytes of user data, and of all files of an instance together."""

_IMAGE_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_IMAGE_SCHEMES = ("file", "http", "https")


def _flavor(flavor: Flavor) -> Iterator[Mistake]:
    vcpus, cells, pins, page = flavor.vcpus, flavor.numa_cells, flavor.pin_cpus, flavor.hugepages
    if cells and vcpus % cells:
        yield _is(("numa_cells",), f"{vcpus} vCPUs cannot be divided evenly among {cells} NUMA cells")
    if pins and len(pins) != vcpus:
        yield _is(("pin_cpus",), f"pin_cpus needs a CPU for each of the {vcpus} vCPUs, not {len(pins)}")
    if page and flavor.memory % page:
        text = f"a memory of {size_text(flavor.memory)} is not made of pages of {size_text(page)}"
        yield _is(("hugepages",), text)
    yield from _twice("requires", 0, (key for key, _ in flavor.requires))


def _image(image: Image) -> Iterator[Mistake]:
    if image.boot is Boot.NETWORK:
        if image.kernel is not None:
            yield _is(("boot",), "boot: network and kernel exclude each other", there=True)
    elif image.boot in (Boot.VOLUME, Boot.CDROM):
        if image.path is not None or image.kernel is not None:
            yield _is(("boot",), f"boot: {image.boot} excludes path and kernel", there=True)
    elif image.path is None and image.kernel is None:
        yield _is((), f"{shown(image.name)} needs path or kernel", there=True)
    for name, owner in (("initrd", "kernel"), ("cmdline", "kernel"), ("format", "path"), ("sha256", "path")):
        if getattr(image, name) is not None and getattr(image, owner) is None:
            yield _is((name,), f"{name} needs {owner}", there=True)
    if image.firmware is Firmware.UEFI_SECURE and "q35" not in image.machine:
        yield _is(("firmware",), f"firmware: uefi-secure needs machine: q35, not {image.machine}", there=True)
    if image.path is None:
        return
    if image.path.startswith(NAMED_IMAGE):
        if not _IMAGE_NAME.fullmatch(image.path.removeprefix(NAMED_IMAGE)):
            yield Mistake(("path",), f"must be image: and a name, not {shown(image.path)}")
    elif "://" not in image.path:
        if not os.path.isabs(image.path):
            yield Mistake(("path",), f"must be an absolute path or a URL, not {shown(image.path)}")
    elif text := url_mistake(image.path, _IMAGE_SCHEMES):
        yield Mistake(("path",), text)


def _nic(nic: NetworkRequest) -> Iterator[Mistake]:
    if nic.network is None and nic.port is None:
        yield _is((), "a NIC needs network or port")
    for name in ("network", "fixed_ip"):
        if nic.port is not None and getattr(nic, name) is not None:
            yield _is((name,), f"{name} and port exclude each other: the port has its own", there=True)


def _file(file: InjectedFile) -> Iterator[Mistake]:
    if file.content is None:
        yield _is((), f"{shown(file.path)} needs content")


def _readiness(one: Readiness) -> Iterator[Mistake]:
    if one.sign is Sign.MARKER and not one.text:
        yield _is(("text",), "a marker needs the text that is waited for")


def _request(request: InstanceRequest) -> Iterator[Mistake]:
    if request.user_data is not None and len(request.user_data.encode()) > MOST_TEXT:
        yield _is(("user_data",), f"user_data is larger than {MOST_TEXT // 1024} KiB")
    elif request.user_data is not None and (text := user_data_mistake(request.user_data)):
        yield _is(("user_data",), text)
    if request.network_config is not None:
        if request.config_drive:
            yield _is(("network_config",), "network_config is NoCloud's: a config_drive has no place for it")
        elif len(request.network_config.encode()) > MOST_TEXT:
            yield _is(("network_config",), f"network_config is larger than {MOST_TEXT // 1024} KiB")
        elif text := network_config_mistake(request.network_config):
            yield _is(("network_config",), text)
    if request.user_data_sha256 is not None:
        yield Mistake(("user_data_sha256",), "is for the record: a request has the user data themselves")
    if sum(len((file.content or "").encode()) for file in request.files) > MOST_TEXT:
        yield _is(("files",), f"the files are larger than {MOST_TEXT // 1024} KiB together", there=True)
    if request.image.boot is Boot.CDROM and request.cdrom is None:
        yield _is((), f"image {shown(request.image.name)} boots from a CD-ROM: it needs cdrom", there=True)
    yield from _twice("shares", "tag", (share.tag for share in request.shares))
    yield from _twice("files", "path", (file.path for file in request.files))
    yield from _twice("networks", "port", (nic.port for nic in request.networks or ()))
    addresses = ((nic.network, nic.fixed_ip) if nic.fixed_ip else None for nic in request.networks or ())
    yield from _twice("networks", "fixed_ip", addresses)
    signs = (f"{one.sign} {one.text}" if one.sign is Sign.MARKER else one.sign for one in request.wait_for)
    yield from _twice("wait_for", "sign", signs)
    yield from _twice("metadata", 0, (key for key, _ in request.metadata))
    yield from _twice("requires", 0, (key for key, _ in request.requires))
    required = dict(request.flavor.requires)
    for index, (key, value) in enumerate(request.requires):
        if required.get(key, value) != value:
            text = f"{shown(key)} is required to be {shown(value)}, and by the flavor to be {shown(required[key])}"
            yield _is(("requires", index), text)
    volumes = (os.path.realpath(disk.path) if isinstance(disk, Volume) else None for disk in request.disks)
    yield from _twice("disks", "path", volumes)
    if request.networks == ():
        for index, one in enumerate(request.wait_for):
            if one.sign is not Sign.MARKER:
                text = f"{one.sign} needs a network: networks is empty"
                yield _is(("wait_for", index), text, there=True)
    if request.flavor.disk + sum(disk for disk in request.disks if isinstance(disk, int)) > MOST_BYTES:
        yield _is(("disks",), f"the disks are larger than {size_text(MOST_BYTES)} together", there=True)


def _twice(attribute: str, name: str | int, values: Iterable[object]) -> Iterator[Mistake]:
    """Of each item of an attribute a value that no two may have in common; None is none."""
    seen = set()
    for index, value in enumerate(values):
        if value is not None and value in seen:
            said = value[1] if isinstance(value, tuple) else value
            yield _is((attribute, index, name), f"{shown(said)} is given twice")
        seen.add(value)


def _host(host: Host) -> Iterator[Mistake]:
    if host.simulate != Simulation() and host.compute != "sim":
        yield _is(("simulate",), "simulate is for hosts with compute: sim", there=True)
    if host.compute == "libvirt" and host.uri is None:
        yield _is((), "compute: libvirt needs uri, such as qemu:///system", there=True)
    if host.uri is not None and (text := url_mistake(host.uri)):
        yield Mistake(("uri",), text)
    for name, total in (("memory", host.memory * host.memory_ratio), ("disk", host.disk * host.disk_ratio)):
        if total > MOST_BYTES:
            text = f"{name} and its ratio are more than {size_text(MOST_BYTES)} together"
            yield _is((name,), text)
    yield from _twice("labels", 0, (key for key, _ in host.labels))
    yield from _cells(host.numa)


def _cells(numa: Sequence[str]) -> Iterator[Mistake]:
    taken: dict[int, int] = {}
    for number, cell in enumerate(numa):
        try:
            cpus = parse_cpus(cell)
        except ValueError as error:
            yield _is(("numa", number), str(error))
            continue
        if both := sorted(cpu for cpu in cpus if cpu in taken):
            yield _is(("numa", number), f"CPU {both[0]} is in NUMA cell {taken[both[0]]} as well")
        taken |= dict.fromkeys(cpus, number)


def _is(place: Place, text: str, *, there: bool = False) -> Mistake:
    return Mistake(place, text, sentence=True, there=there)


RULES: Mapping[type, Rule] = {
    Flavor: _flavor,
    Host: _host,
    Image: _image,
    InjectedFile: _file,
    InstanceRequest: _request,
    NetworkRequest: _nic,
    Readiness: _readiness,
}
"""By the record's class."""
