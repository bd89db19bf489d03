"""What is wrong with a domain that runs: changed past us, or not to be started again once it has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import libvirt

from slipway.drivers.compute.shape import differences, shape_of, unreadable

_FILES = ("kernel", "initrd", "loader")
"""What a domain's start reads besides its disks."""


def faults(domain: libvirt.virDomain, definition: str | None) -> Iterator[str]:
    """In words: how it is otherwise than the `definition` that was kept of it, and what a start would miss.

    What is to hold at its next start counts as well as what holds now. Raises libvirt's errors.
    """
    if definition is not None:
        try:
            defined = shape_of(definition)
        except ValueError as error:
            yield unreadable(error)
        else:
            found = dict.fromkeys(differences(defined, shape_of(domain.XMLDesc(0))))
            if domain.isActive() and domain.isPersistent():
                later = differences(defined, shape_of(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))
                found |= dict.fromkeys(f"{text}, from its next start" for text in later if text not in found)
            yield from found
    yield from obstacles(domain)


def obstacles(domain: libvirt.virDomain) -> Sequence[str]:
    """What its start would miss, in words. Raises libvirt's errors."""
    if not domain.isPersistent():
        return ("it is defined no more, and is gone when it ends",)
    if domain.connect().getType() != "QEMU":
        # Others, such as libvirt's test driver, open no files.
        return ()
    root = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    named = [(what, root.findtext(f"os/{what}")) for what in _FILES]
    return tuple(f"its {what} {path} is gone" for what, path in named if path and not os.path.exists(path))
