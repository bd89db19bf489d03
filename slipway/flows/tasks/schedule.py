"""Choose the hosts that an instance may go to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from slipway.errors import NoValidHost
from slipway.flows import scheduler
from slipway.flows.choosing import choose
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Candidate, Placement
from slipway.model.request import Host, InstanceRequest
from slipway.states.intent import Durability
from slipway.states.machines import Move


class Schedule(Task):
    """Check image and flavor, which costs nothing, then filter and weigh the hosts; the first and its alternates.

    Needs no undo: a choice holds nothing. It is recorded, since a resume must go to the same host.
    """

    name = "schedule"
    kind = "placement"
    in_build_only = True
    vital = True
    leads_to = Move.CLAIM

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only, on record with the claim: before that it holds nothing."""
        return Durability.WITH_NEXT

    def do(self, work: BuildWork) -> Placement:
        """The hosts to try, best first, at most `max_attempts` of them. Raises `NoValidHost` with every refusal."""
        request, tools = work.instance.request, work.tools
        scheduler.check_request(request)
        chosen = self._chosen(request, work, tools.planned.pop(work.instance.id, None))
        work.hosts_read.update((host.name, host) for host, _ in chosen)
        return Placement(tuple(host.name for host, _ in chosen), tuple(candidate for _, candidate in chosen))

    def _chosen(
        self, request: InstanceRequest, work: BuildWork, planned: str | None
    ) -> Sequence[tuple[Host, Candidate]]:
        """Hosts, best first; but before all others the one that a plan has, for which others were planned elsewhere."""
        tools, most = work.tools, work.tools.settings.max_attempts
        best = choose(request, tools.store, tools.drivers, besides=work.instance.id, most=most)
        if planned is None:
            return best
        first = [one for one in best if one[0].name == planned]
        if not first:
            with suppress(NoValidHost):
                asked = replace(request, host=planned)
                first = [*choose(asked, tools.store, tools.drivers, besides=work.instance.id, most=1)]
        return [*first, *(one for one in best if one[0].name != planned)][:most]
