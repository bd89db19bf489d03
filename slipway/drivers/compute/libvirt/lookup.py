"""Domains of libvirt's as they are looked up, and whose they are. All raise libvirt's errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree

import libvirt

from slipway.drivers.compute.details import NAMESPACE, attribute
from slipway.drivers.compute.libvirt.translation import has_code
from slipway.errors import InvalidDomainXml


def find(libvirtd: libvirt.virConnect, instance_id: str) -> libvirt.virDomain | None:
    """The domain with this uuid, whose ever it is."""
    try:
        UUID(instance_id)
    except ValueError:
        return None
    return _there(libvirtd.lookupByUUIDString, instance_id)


def find_named(libvirtd: libvirt.virConnect, name: str) -> libvirt.virDomain | None:
    """The domain that is called so, whose ever it is."""
    return _there(libvirtd.lookupByName, name)


def _there(look: Callable[[str], libvirt.virDomain], which: str) -> libvirt.virDomain | None:
    try:
        return look(which)
    except libvirt.libvirtError as error:
        if has_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def takes_files(libvirtd: libvirt.virConnect) -> bool:
    """Whether there is the security driver that changes owners; one that is named and not there is refused."""
    models = ElementTree.fromstring(libvirtd.getCapabilities()).iterfind("host/secmodel/model")
    return "dac" in [model.text for model in models]


def owner_of(domain: libvirt.virDomain) -> str | None:
    """The tag in its metadata; None where it has none, or went while we looked."""
    try:
        ours = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if has_code(error, libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    # libvirt looks the element up by its namespace, and gives it without one.
    return ElementTree.fromstring(ours).findtext("{*}owner")


def missing_medium(xml: str, uri: str) -> str | None:
    """The file in the CD-ROM drive, where this machine is its host and has it not; None otherwise.

    libvirt starts a domain with an empty drive then, which is right once what was on it is installed.
    """
    path = attribute(ElementTree.fromstring(xml), "devices/disk[@device='cdrom']/source", "file")
    return path if path and not urlsplit(uri).hostname and not os.path.exists(path) else None


def check_not_ours(xml: str, state: Path) -> None:
    """Raise `InvalidDomainXml` where a guest would get at the state directory, by its CD-ROM drive or a share."""
    root, ours = ElementTree.fromstring(xml), state.resolve()
    given = [("CD-ROM", attribute(root, "devices/disk[@device='cdrom']/source", "file"))]
    given += [("share", attribute(share, "source", "dir")) for share in root.iterfind("devices/filesystem")]
    for what, path in given:
        real = Path(path).resolve()
        if path and (real.is_relative_to(ours) or ours.is_relative_to(real)):
            raise InvalidDomainXml(
                f"{what} {path} would give the guest the state directory of Slipway: name another place"
            )
