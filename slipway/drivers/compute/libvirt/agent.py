"""What the agent in a guest tells of its NICs. A guest says what it likes: only what is an address comes through."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import libvirt
import libvirt_qemu

from slipway.drivers.compute.libvirt.translation import has_code
from slipway.model.machine import GuestNic

ASK = 8.0
"""Seconds for the whole question: somebody waits for an answer that may well not come."""

_ANSWER = 3
"""Seconds for each of the two things that libvirt says to the agent; by itself it waits for the second without end."""

_FREEZE = 10
"""Seconds for a guest to write out what it has, before its file systems are frozen."""

_SILENT = (
    # No agent is there, or it says nothing; no channel for one; the domain does not run; not every hypervisor asks one.
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    libvirt.VIR_ERR_AGENT_UNSYNCED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_NO_SUPPORT,
)


_REFUSED = (libvirt.VIR_ERR_INTERNAL_ERROR, getattr(libvirt, "VIR_ERR_AGENT_COMMAND_FAILED", 112))
"""The agent's own refusal, such as for a file that there is not; newer libvirts have a code for it."""


def ask_agent(domain: libvirt.virDomain) -> Sequence[GuestNic] | None:
    """The guest's NICs with their addresses; None where no agent answers. Raises libvirt's other errors."""
    try:
        domain.agentSetResponseTimeout(_ANSWER)
        told = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    except libvirt.libvirtError as error:
        if has_code(error, *_SILENT):
            return None
        raise
    return tuple(GuestNic(nic["hwaddr"].lower(), tuple(_addresses(nic))) for nic in told.values() if nic["hwaddr"])


_HOST_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key.pub" for kind in ("ed25519", "ecdsa", "rsa"))
_LONGEST_KEY = 4096


def host_keys(domain: libvirt.virDomain) -> Sequence[str]:
    """What is in the guest's files of public host keys; none where no agent answers, or it may not read them."""
    return [key for path in _HOST_KEYS if (key := _read(domain, path))]


def _read(domain: libvirt.virDomain, path: str) -> str:
    try:
        handle = _tell(domain, "guest-file-open", path=path, mode="r")
        try:
            told = _tell(domain, "guest-file-read", handle=handle, count=_LONGEST_KEY)
        finally:
            _tell(domain, "guest-file-close", handle=handle)
        return b64decode(told["buf-b64"]).decode("ascii").strip()
    except libvirt.libvirtError as error:
        if has_code(error, *_SILENT, *_REFUSED):
            return ""
        raise
    except (TypeError, KeyError, ValueError):
        # It says what it likes.
        return ""


def _tell(domain: libvirt.virDomain, command: str, **arguments: Any) -> Any:
    asked = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuAgentCommand(domain, asked, _ANSWER, 0))["return"]


def freeze(domain: libvirt.virDomain) -> bool:
    """Freeze the guest's file systems, where an agent does that, and pause it; whether they are. Raises libvirt's
    other errors."""
    state, _ = domain.state()
    if state != libvirt.VIR_DOMAIN_RUNNING:
        return False
    frozen = _asked(domain, domain.fsFreeze)
    domain.suspend()
    return frozen


def thaw(domain: libvirt.virDomain, *, frozen: bool) -> None:
    """Let the guest go on, and thaw its file systems. Raises libvirt's errors, and where they are `frozen` also that of
    an agent that does not answer."""
    state, _ = domain.state()
    if state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()
    if not _asked(domain, domain.fsThaw) and frozen and domain.isActive():
        domain.fsThaw()


def _asked(domain: libvirt.virDomain, call: Callable[[], object]) -> bool:
    """Whether an agent did it."""
    try:
        domain.agentSetResponseTimeout(_FREEZE)
        call()
    except libvirt.libvirtError as error:
        if has_code(error, *_SILENT):
            return False
        raise
    return True


def _addresses(nic: Mapping[str, Any]) -> Iterator[str]:
    for told in nic["addrs"] or ():
        kind = IPv6Address if told["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV6 else IPv4Address
        try:
            address = kind(told["addr"].partition("%")[0])
        except ValueError:
            continue
        yield str(address)
