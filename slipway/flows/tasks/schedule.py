"""Choose the hosts that an instance may go to."""

from __future__ import annotations

from msgspec.structs import replace

from slipway.drivers.registry import Drivers
from slipway.errors import HostElsewhere
from slipway.flows import scheduler
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Placement
from slipway.model.request import Host
from slipway.states import hosts
from slipway.states.hosts import HostUsage
from slipway.states.intent import Durability
from slipway.states.machines import Move


class Schedule(Task):
    """Check image and flavor, which costs nothing, then filter and weigh the hosts; the first and its alternates.

    Needs no undo: a choice holds nothing. It is recorded, since a resume must go to the same host.
    """

    name = "schedule"
    kind = "placement"
    in_build_only = True
    leads_to = Move.CLAIM

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only, on record with the claim: before that it holds nothing."""
        return Durability.WITH_NEXT

    def do(self, work: BuildWork) -> Placement:
        """The hosts to try, best first, at most `max_attempts` of them. Raises `NoValidHost` with every refusal."""
        request, settings = work.instance.request, work.tools.settings
        scheduler.check_request(request)
        with work.tools.store.read(once=not request.flavor.pin_cpus and request.group is None) as tx:
            usages = [_seen_from_here(work.tools.drivers, usage) for usage in hosts.usages(tx)]
            if request.flavor.pin_cpus:
                usages = [
                    replace(usage, pinned_cpus=hosts.pinned_cpus(tx, usage.host.name, besides=work.instance.id))
                    for usage in usages
                ]
            members = (
                hosts.group_hosts(tx, request.project, request.group.name, besides=work.instance.id)
                if request.group
                else ()
            )
        chosen = scheduler.select(request, usages, members)[: settings.max_attempts]
        work.hosts_read.update((usage.host.name, usage.host) for usage in usages if usage.host.name in chosen)
        return Placement(chosen)


def _seen_from_here(drivers: Drivers, usage: HostUsage) -> HostUsage:
    try:
        drivers.check_here(usage.host)
    except HostElsewhere as error:
        return replace(usage, elsewhere=str(error))
    return usage
