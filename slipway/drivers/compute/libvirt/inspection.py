"""Whose a domain is, and what is wrong with it: changed past us, or not to be started again once it has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from xml.etree import ElementTree

import libvirt

from slipway.drivers.compute.base import DomainInfo
from slipway.drivers.compute.handmade import RUNS, HandMade, read_hand_made
from slipway.drivers.compute.libvirt.acts import state_of
from slipway.drivers.compute.libvirt.lookup import find_named, owner_of
from slipway.drivers.compute.libvirt.translation import suppress_code
from slipway.drivers.compute.shape import brought, differences, is_the_same, shape_of, unreadable

_FILES = ("kernel", "initrd", "loader")
"""What a domain's start reads besides its disks."""
_TRANSIENT = "it is defined no more, and is gone when it ends"


def hand_made(libvirtd: libvirt.virConnect, name: str) -> HandMade | None:
    """The domain of this name that bears nobody's tag, with what keeps it from being an instance. Raises its errors."""
    domain = find_named(libvirtd, name)
    if domain is None or owner_of(domain) is not None:
        return None
    return read_hand_made(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), tuple(_kept(domain)))


def _kept(domain: libvirt.virDomain) -> Iterator[str]:
    """What libvirt has of it besides its XML."""
    if not domain.isPersistent():
        yield "it is defined no more, and is gone when it ends"
    if domain.isActive():
        yield RUNS
    if domain.hasManagedSaveImage():
        yield "its memory is saved: start it, and shut it down"
    if count := domain.snapshotNum():
        yield f"libvirt has {count} snapshot{'' if count == 1 else 's'} of it: delete them"


def forget(domain: libvirt.virDomain | None) -> None:
    """Undefine one that was made by hand, unless it is somebody's or runs by now. Raises libvirt's errors."""
    if domain is not None and owner_of(domain) is None and not domain.isActive():
        domain.undefine()


def was_defined_by(domain: libvirt.virDomain, definition: str | None) -> bool:
    """Whether a domain that bears nobody's tag is what was defined so. Raises libvirt's errors."""
    with suppress(ValueError), suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
        return definition is not None and is_the_same(shape_of(definition), shape_of(domain.XMLDesc(0)))
    return False


def info_of(domain: libvirt.virDomain, definition: str | None) -> DomainInfo:
    """What is said of one of ours, of which the `definition` was kept. Raises libvirt's errors."""
    _, memory, _, vcpus, _ = domain.info()
    told, beside = _compared(domain, definition)
    return DomainInfo(
        domain.UUIDString(),
        domain.name(),
        state_of(domain),
        vcpus,
        memory * 1024,
        "; ".join([*told, *_unlasting(domain)]),
        opens_taps=domain.connect().getType() == "QEMU",
        lacks=tuple(lacking(domain)),
        brought=tuple(beside),
    )


def _compared(domain: libvirt.virDomain, definition: str | None) -> tuple[Sequence[str], Sequence[str]]:
    """In words, how it is otherwise than the `definition` that was kept of it; and the disks that it has besides while
    it runs.

    What is to hold at its next start counts as well as what holds now. Raises libvirt's errors.
    """
    if definition is None:
        return (), ()
    try:
        defined = shape_of(definition)
    except ValueError as error:
        return (unreadable(error),), ()
    runs, now = bool(domain.isActive()), shape_of(domain.XMLDesc(0))
    found = dict.fromkeys(differences(defined, now, runs=runs))
    if runs and domain.isPersistent():
        later = differences(defined, shape_of(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))
        found |= dict.fromkeys(f"{text}, from its next start" for text in later if text not in found)
    return tuple(found), brought(defined, now) if runs else ()


def _unlasting(domain: libvirt.virDomain) -> Iterator[str]:
    """What is wrong with how long it lasts, in words."""
    if not domain.isPersistent():
        yield _TRANSIENT
    elif domain.autostart():
        yield "libvirt starts it by itself, before its NICs are joined"


def obstacles(domain: libvirt.virDomain) -> Sequence[str]:
    """What its start would miss, in words. Raises libvirt's errors."""
    return tuple(f"its {file} is gone" for file in lacking(domain)) if domain.isPersistent() else (_TRANSIENT,)


def lacking(domain: libvirt.virDomain) -> Sequence[str]:
    """Of the files besides its disks that its start reads those that are gone. Raises libvirt's errors."""
    if not domain.isPersistent() or domain.connect().getType() != "QEMU":
        # Others, such as libvirt's test driver, open no files.
        return ()
    root = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    named = [(what, root.findtext(f"os/{what}")) for what in _FILES]
    return tuple(f"{what} {path}" for what, path in named if path and not os.path.exists(path))
