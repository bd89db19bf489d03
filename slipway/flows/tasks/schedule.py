"""Choose the hosts that an instance may go to."""

from __future__ import annotations

from slipway.flows import scheduler
from slipway.flows.choosing import choose
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Placement
from slipway.model.request import Host
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
        request, tools = work.instance.request, work.tools
        scheduler.check_request(request)
        chosen = choose(request, tools.store, tools.drivers, besides=work.instance.id, most=tools.settings.max_attempts)
        work.hosts_read.update((host.name, host) for host, _ in chosen)
        return Placement(tuple(host.name for host, _ in chosen), tuple(candidate for _, candidate in chosen))
