"""A guest's screen by VNC: QEMU lets in whoever knows a password that expires."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

import libvirt

from slipway.errors import ConsoleUnavailable


def open_screen(domain: libvirt.virDomain, where: str, password: str, until: datetime) -> tuple[str, int]:
    """Set it; gives where QEMU listens. Raises `ConsoleUnavailable`, and libvirt's errors."""
    if not domain.isActive():
        raise ConsoleUnavailable(f"{where} does not run")
    graphics = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)).find(
        "devices/graphics[@type='vnc']"
    )
    if graphics is None:
        raise ConsoleUnavailable(f"{where} has no screen for VNC")
    if graphics.get("passwd") is None:
        # QEMU knows from its start whether it is to ask for one.
        raise ConsoleUnavailable(f"{where} was defined when screens had no passwords; it has one once it is built anew")
    graphics.set("passwd", password)
    graphics.set("passwdValidTo", until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    xml = ElementTree.tostring(graphics, encoding="unicode")
    domain.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    listens = graphics.find("listen")
    address = (listens.get("address") if listens is not None else None) or graphics.get("listen") or "127.0.0.1"
    return address, int(graphics.get("port", "-1"))
