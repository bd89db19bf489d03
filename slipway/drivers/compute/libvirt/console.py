"""A guest's first serial port as a socket: libvirt's stream, with a thread for each direction."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import libvirt

from slipway.drivers.compute.libvirt.opened import Opened
from slipway.drivers.compute.libvirt.translation import has_code, one_line
from slipway.errors import ConsoleUnavailable

_BLOCK = 4096


def open_console(held: Opened, domain: libvirt.virDomain, where: str, *, force: bool) -> socket.socket:
    """The socket's other end goes with the stream, in whichever direction that ends.

    Raises `ConsoleUnavailable`, and libvirt's other errors.
    """
    if not domain.isActive():
        raise ConsoleUnavailable(f"{where} does not run")
    stream = held.libvirtd.newStream(0)
    try:
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else libvirt.VIR_DOMAIN_CONSOLE_SAFE)
    except libvirt.libvirtError as error:
        if has_code(error, libvirt.VIR_ERR_OPERATION_FAILED) and domain.isActive():
            raise ConsoleUnavailable(f"somebody has the console of {where}: with --force it is taken") from error
        if has_code(error, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_INVALID):
            raise ConsoleUnavailable(f"{where} has no console: {one_line(error)}") from error
        raise
    ours, theirs = socket.socketpair()
    for work in (_from_guest, _to_guest):
        # The connection is not closed while it is at work.
        threading.Thread(target=work, args=(stream, ours, held), name="libvirt console", daemon=True).start()
    return theirs


def _from_guest(stream: libvirt.virStream, ours: socket.socket, _held: Opened) -> None:
    with suppress(libvirt.libvirtError, OSError):
        while data := stream.recv(_BLOCK):
            ours.sendall(data)
    with suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


def _to_guest(stream: libvirt.virStream, ours: socket.socket, _held: Opened) -> None:
    with suppress(libvirt.libvirtError, OSError):
        while data := ours.recv(_BLOCK):
            while data:
                data = data[stream.send(data) :]
    # Wakes up the other thread as well.
    with suppress(libvirt.libvirtError):
        stream.abort()
    ours.close()
