"""Take from a host what the instance needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from slipway.errors import ComputeResourcesUnavailable, GroupAffinityViolation
from slipway.flows import scheduler
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Claim, Placement
from slipway.model.record import Scope
from slipway.model.request import Host
from slipway.states import hosts
from slipway.states.intent import Durability
from slipway.states.machines import Move


class ClaimHost(Task):
    """Claim vCPUs, memory and disk from the attempt's host, then see that pins and the server group's policy hold.

    They are checked after the claim, as in Nova: only then no other build can get between.
    """

    name = "claim"
    kind = "claim"
    in_build_only = True
    vital = True
    scope = Scope.HOST
    leads_to: ClassVar[Move | None] = Move.NETWORK

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Claims are rows of our own."""
        return Durability.LOCAL

    def do(self, work: BuildWork, placement: Placement) -> Claim:
        """Raises `ComputeResourcesUnavailable`, `GroupAffinityViolation`."""
        return self.claim(work, placement.hosts[work.effect.attempt - 1])

    def claim(self, work: BuildWork, host: str) -> Claim:
        """Claim it from this host. Raises as `do`."""
        assert work.tx is not None
        instance, request = work.instance, work.instance.request
        claim = Claim(instance.id, host, request.flavor.vcpus, request.flavor.memory, scheduler.disk_total(request))
        hosts.claim(work.tx, claim)
        if request.flavor.pin_cpus:
            pinned = hosts.pins(work.tx, host, besides=instance.id)
            if refusal := scheduler.pins_refusal(request.flavor.pin_cpus, pinned):
                raise ComputeResourcesUnavailable(f"host {host}: {refusal}")
            hosts.pin(work.tx, host, instance.id, request.flavor.pin_cpus)
        if request.group:
            members = hosts.group_hosts(work.tx, request.project, request.group.name, besides=instance.id)
            refusal = scheduler.group_refusal(request.group.name, request.group.policy, host, members)
            if refusal:
                raise GroupAffinityViolation(f"host {host} will not do for {instance.name}: {refusal}")
        return claim

    def columns(self, tools: Tools, arguments: Mapping[str, Any], result: Claim) -> dict[str, Any]:
        """The host, where the instance is from now on."""
        return {"host": result.host}

    def undo(self, work: BuildWork, result: Claim | None) -> None:
        """Release it."""
        assert work.tx is not None
        assert work.effect.host is not None
        hosts.release(work.tx, work.instance.id, work.effect.host)
