"""A guest goes to another libvirt while it runs. We are connected to both and have each do its part; what is in the
guest's memory and on its disks goes from QEMU to QEMU.

So no daemon needs a way to the other one. When we are killed both hear it: what had not come to its end is undone by
them, and the guest goes on where it was, paused perhaps.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import libvirt

from slipway.drivers.compute.base import Migration
from slipway.drivers.compute.libvirt.opened import Opened
from slipway.drivers.compute.libvirt.translation import has_code, one_line
from slipway.drivers.deadline import left
from slipway.errors import ComputeError, HypervisorUnavailable
from slipway.model.machine import Disk

_LOOK_AGAIN = 0.5
_END = 60.0
"""Seconds that libvirt may take to end a migration that is not wanted any more."""

_HOST_DEVICES = ("hostdev", "interface[@type='hostdev']", "interface[@type='direct']", "filesystem", "shmem")
"""What of a guest is its host's, and goes nowhere while it runs."""


def unmovable(domain: libvirt.virDomain, to: libvirt.virConnect, where: str) -> Iterator[str]:
    """What keeps the guest from going on there, in words. Raises libvirt's errors."""
    here = domain.connect()
    if here.getType() != to.getType():
        yield f"its hypervisor is {here.getType()}, that of {where} is {to.getType()}"
        return
    if _host_uuid(here) == _host_uuid(to):
        yield (
            f"libvirt takes both hosts for one, by their UUID {_host_uuid(to)}: give one of them a host_uuid of its "
            "own in libvirtd.conf"
        )
    root = ElementTree.fromstring(domain.XMLDesc(0))
    if found := [name for name in _HOST_DEVICES if root.find(f"devices/{name}") is not None]:
        yield f"it has devices of its host ({', '.join(found)})"
    kind = root.find("os/type")
    arch, machine = ("", "") if kind is None else (kind.get("arch", ""), kind.get("machine", ""))
    try:
        to.getDomainCapabilities(None, arch, machine, root.get("type"))
    except libvirt.libvirtError as error:
        yield f"{where} has no machine {machine} ({arch}, {root.get('type')}): {one_line(error)}"
        return
    cpu = root.find("cpu")
    if cpu is None or root.get("type") != "kvm":
        # Without KVM a CPU is QEMU's, and the same everywhere.
        return
    text = ElementTree.tostring(cpu, encoding="unicode")
    try:
        compared = to.compareHypervisorCPU(None, arch, machine, "kvm", text, 0)
    except libvirt.libvirtError as error:
        yield f"{where} cannot say whether its CPU would do: {one_line(error)}"
        return
    if compared == libvirt.VIR_CPU_COMPARE_INCOMPATIBLE:
        yield f"the CPU of {where} has not all that the guest's has"


def migrate(
    domain: libvirt.virDomain,
    to: Opened,
    uris: tuple[str, str],
    xml: str,
    copied: Sequence[Disk],
    tell: Callable[[Migration], None],
) -> None:
    """Have the guest go on there, where it waits as `xml`; `uris`: those of here and there.

    Raises libvirt's errors, what `tell` does, `StepTimeout`: then nothing is under way any more, or
    `HypervisorUnavailable` where libvirt does not even end it.
    """
    flags = libvirt.VIR_MIGRATE_LIVE
    # libvirt would have all disks on a file system that it knows to be shared: both hosts see what is not copied.
    flags |= libvirt.VIR_MIGRATE_UNSAFE
    live = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE)
    parameters: dict[str, str | list[str]] = {libvirt.VIR_MIGRATE_PARAM_DEST_XML: arriving(live, xml)}
    if copied:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [disk.device for disk in copied]
    with _way(domain.UUIDString(), uris, copied=bool(copied)) as way:
        _watched(domain, lambda: to.answer(lambda there: domain.migrate3(there, parameters | way, flags)), tell)


def _watched(domain: libvirt.virDomain, go: Callable[[], object], tell: Callable[[Migration], None]) -> None:
    """Have it go in a thread of its own, and tell meanwhile how far it is."""
    done: Future[None] = Future()

    def work() -> None:
        try:
            if not go():
                raise ComputeError("libvirt gave no domain, and no reason for that")
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=work, name="libvirt migration", daemon=True).start()
    try:
        while not wait((done,), _LOOK_AGAIN).done:
            tell(_how_far(domain))
            left(_LOOK_AGAIN)
    except BaseException:
        with suppress(libvirt.libvirtError):
            domain.abortJob()
        if not wait((done,), _END).done:
            raise HypervisorUnavailable(f"libvirt did not end the migration within {_END:g} s") from None
        if done.exception() is None:
            # It was there already.
            return
        raise
    done.result()


def _how_far(domain: libvirt.virDomain) -> Migration:
    try:
        _, _, _, total, processed, remaining, *_ = domain.jobInfo()
    except libvirt.libvirtError:
        # It has not begun, or has just ended.
        return Migration(0, 0)
    return Migration(remaining, processed) if total else Migration(domain.info()[1] * 1024, 0)


def end(domain: libvirt.virDomain) -> bool:
    """End a migration that is under way; whether the guest has gone. Raises as `migrate`."""
    give_up = time.monotonic() + left(_END)
    while _is_under_way(domain):
        if time.monotonic() >= give_up:
            raise HypervisorUnavailable(f"libvirt did not end the migration of {domain.name()} within {_END:g} s")
        # Towards its end one cannot be ended, and ends by itself.
        with suppress(libvirt.libvirtError):
            domain.abortJob()
        time.sleep(_LOOK_AGAIN / 5)
    shutil.rmtree(_sockets(domain.UUIDString()), ignore_errors=True)
    state, reason = domain.state()
    return (state, reason) == (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED)


def _is_under_way(domain: libvirt.virDomain) -> bool:
    try:
        return bool(domain.isActive()) and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
    except libvirt.libvirtError as error:
        if has_code(error, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
            return False
        raise


def arriving(live: str, wanted: str) -> str:
    """The XML of a guest that runs as it is to run on another host: with the files and taps of its definition there.

    All else stays as the guest knows it: where its devices are, what they are.
    """
    root, there = ElementTree.fromstring(live), ElementTree.fromstring(wanted)
    files = {_target(disk): disk.find("source") for disk in there.iterfind("devices/disk")}
    for disk in root.iterfind("devices/disk"):
        source, new = disk.find("source"), files.get(_target(disk))
        if source is None or new is None:
            continue
        source.attrib.clear()
        source.attrib["file"] = new.get("file", "")
        # What a disk stands on may be otherwise there.
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    taps = {_mac(nic): nic.find("target") for nic in there.iterfind("devices/interface")}
    for nic in root.iterfind("devices/interface"):
        target, tap = nic.find("target"), taps.get(_mac(nic))
        if target is not None and tap is not None:
            target.attrib["dev"] = tap.get("dev", "")
    log = there.find("devices/serial/log")
    for console in (*root.iterfind("devices/serial/log"), *root.iterfind("devices/console/log")):
        if log is not None:
            console.attrib["file"] = log.get("file", "")
    return ElementTree.tostring(root, encoding="unicode")


def _target(disk: ElementTree.Element) -> str | None:
    target = disk.find("target")
    return None if target is None else target.get("dev")


def _mac(nic: ElementTree.Element) -> str:
    mac = nic.find("mac")
    return "" if mac is None else (mac.get("address") or "").lower()


@contextmanager
def _way(instance_id: str, uris: tuple[str, str], *, copied: bool) -> Iterator[dict[str, str]]:
    """How QEMU gets to QEMU: by sockets in a directory where both are on this machine, in whichever network, else by
    TCP to the host that the URI names."""
    here, there = (urlsplit(uri).hostname for uri in uris)
    if there is not None or here is not None:
        where = f"[{there}]" if there and ":" in there else there
        # Without an address libvirt takes the name that the host has for itself.
        yield {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{where}"} if where else {}
        return
    directory = _sockets(instance_id)
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory, 0o700)
    # QEMU may run as another user, who makes his sockets here; nobody else knows their names beforehand.
    os.chmod(directory, 0o1733)
    try:
        way = {libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{directory}/memory"}
        if copied:
            way[libvirt.VIR_MIGRATE_PARAM_DISKS_URI] = f"unix://{directory}/disks"
        yield way
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sockets(instance_id: str) -> Path:
    """Short: a socket's path has 107 characters."""
    return Path(tempfile.gettempdir(), f"slipway-{instance_id}")


def _host_uuid(libvirtd: libvirt.virConnect) -> str | None:
    return ElementTree.fromstring(libvirtd.getCapabilities()).findtext("host/uuid")
