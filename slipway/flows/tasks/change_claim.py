"""What an instance takes of its host and its project's quota, while it is made another one."""

from __future__ import annotations

from typing import ClassVar

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.record import Scope
from slipway.model.request import Host
from slipway.states import instances, resizing
from slipway.states.intent import Durability
from slipway.states.quotas import size_of


class ClaimMore(Task):
    """Claim of the host, and of the project's quota, what the instance is to have beyond what it has.

    What it is to have no longer is given back when the change has ended and it is gone.
    """

    name = "claim-more"
    kind = "more-claimed"
    scope = Scope.HOST
    in_build_only = True
    vital = True
    passing: ClassVar[bool] = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Claims and quotas are rows of our own."""
        return Durability.LOCAL

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeResourcesUnavailable`, `QuotaExceeded`."""
        assert work.tx is not None
        assert work.effect.host is not None
        asked = size_of(instances.get(work.tx, work.instance.id).request)
        resizing.claim_more(work.tx, work.instance.id, work.effect.host, asked, size_of(work.instance.request))

    def undo(self, work: BuildWork, result: None) -> None:
        """Claim what it is asked to be on record."""
        assert work.tx is not None
        resizing.claim_just(work.tx, work.instance.id, size_of(instances.get(work.tx, work.instance.id).request))
