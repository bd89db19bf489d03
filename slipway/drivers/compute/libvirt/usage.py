"""What guests use, as libvirt counts it."""

from __future__ import annotations

from typing import Any

import libvirt

from slipway.drivers.compute.base import DomainUse

_ASKED = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_INTERFACE


def use_of(domain: libvirt.virDomain) -> DomainUse | None:
    """What it has used since it was started; None where it has ended meanwhile. Raises libvirt's errors."""
    # Of a domain that is busy with a job the rest is told all the same.
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    found = domain.connect().domainListGetStats([domain], _ASKED, flags)
    if not found or not domain.isActive():
        return None
    ((_, told),) = found
    return DomainUse(
        domain.UUIDString(),
        cpu=domain.info()[4] / 1e9,
        resident=told.get("balloon.rss", 0) * 1024,
        memory=_memory(told),
        read=_sum(told, "block", "rd.bytes"),
        written=_sum(told, "block", "wr.bytes"),
        received=_sum(told, "net", "rx.bytes"),
        sent=_sum(told, "net", "tx.bytes"),
    )


def _memory(told: dict[str, Any]) -> int | None:
    """In bytes, what the guest says that it cannot give away; None where its driver of the balloon says nothing."""
    there, free = told.get("balloon.available"), told.get("balloon.usable", told.get("balloon.unused"))
    return None if there is None or free is None else int(there - free) * 1024


def _sum(told: dict[str, Any], kind: str, what: str) -> int:
    return sum(told.get(f"{kind}.{number}.{what}", 0) for number in range(told.get(f"{kind}.count", 0)))
