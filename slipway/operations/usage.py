"""What guests use of their hosts now: the difference between two looks at what hypervisors count."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.compute.base import DomainUse
from slipway.drivers.deadline import within
from slipway.errors import StoreError
from slipway.flows.tasks.base import Tools
from slipway.model.record import Instance
from slipway.model.request import Host
from slipway.states import hosts, instances
from slipway.texts import named

_ASK = 15.0
"""Seconds that a hypervisor has for its answer."""


class GuestUse(Struct, frozen=True):
    """What one guest that runs uses: of its `memory`, in bytes, what its host holds for it (`resident`), and what it
    says itself that it needs (`memory_used`; None: it does not say).

    Since the look before: of one vCPU how much (1.5: one and a half), and bytes a second; None at the first look.
    """

    id: str
    name: str
    project: str
    host: str
    vcpus: int
    memory: int
    resident: int
    memory_used: int | None
    cpu: float | None = None
    read: float | None = None
    written: float | None = None
    received: float | None = None
    sent: float | None = None


class Uses(Struct, frozen=True):
    """One look: who uses most of the CPU is first. `unasked` says of each host that could not be asked why."""

    guests: tuple[GuestUse, ...]
    unasked: tuple[str, ...] = ()


class Meter:
    """Looks again and again; each look says what was used since the one before."""

    def __init__(self, tools: Tools, project: str | None = None) -> None:
        """`project`: only guests of this one are told of."""
        self._tools = tools
        self._project = project
        self._before: Mapping[str, tuple[float, DomainUse]] = {}

    def look(self) -> Uses:
        """Ask each host that has instances. Who cannot be asked is no error."""
        with self._tools.store.read() as tx:
            there = {one.id: one for one in instances.listed(tx) if one.host is not None}
            known = {usage.host.name: usage.host for usage in hosts.usages(tx)}
        unasked: dict[str, None] = {}
        seen: dict[str, tuple[float, DomainUse]] = {}
        for name in sorted({str(one.host) for one in there.values()}):
            try:
                found = self._asked(known[name])
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: the rest is still worth seeing
                unasked[named(error)] = None
                continue
            seen |= {use.instance_id: (self._tools.monotonic(), use) for use in found if use.instance_id in there}
        guests = [
            self._used(there[key], at, use)
            for key, (at, use) in seen.items()
            if self._project in (None, there[key].project)
        ]
        self._before = seen
        return Uses(tuple(sorted(guests, key=lambda one: (-(one.cpu or 0.0), one.name))), tuple(unasked))

    def _asked(self, host: Host) -> list[DomainUse]:
        with within(_ASK):
            return list(self._tools.drivers.on(host).compute.domain_uses())

    def _used(self, instance: Instance, at: float, use: DomainUse) -> GuestUse:
        flavor = instance.request.flavor
        said = GuestUse(
            instance.id,
            instance.name,
            instance.project,
            str(instance.host),
            flavor.vcpus,
            flavor.memory,
            use.resident,
            use.memory,
        )
        earlier, before = self._before.get(instance.id, (at, use))
        # One that was started meanwhile is counted anew.
        if at <= earlier or use.cpu < before.cpu:
            return said
        seconds = at - earlier

        def rate(name: str) -> float:
            return max(0.0, float(getattr(use, name) - getattr(before, name)) / seconds)

        return replace(said, **{name: rate(name) for name in ("cpu", "read", "written", "received", "sent")})
