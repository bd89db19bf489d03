"""A router as the host needs it that carries it."""

from __future__ import annotations

from msgspec import Struct

from slipway.model.machine import Vif
from slipway.model.routing import FloatingIp, Router


class HostedRouter(Struct, frozen=True):
    """A router with all that is behind it, ordered so that two that say the same are equal.

    `inside`: its interfaces, each a VIF whose addresses are those of gateways. `outside`: the way to its external
    network, None where it has none. `floating_ips`: those that lead to an address behind it, or forward ports to one.
    """

    router: Router
    inside: tuple[Vif, ...] = ()
    outside: Vif | None = None
    floating_ips: tuple[FloatingIp, ...] = ()

    @property
    def by_host(self) -> bool:
        """Whether its way out is the host's own: its external network is of no physical one."""
        return self.outside is not None and self.outside.ends_at_host

    @property
    def legs(self) -> tuple[Vif, ...]:
        """The interfaces that are in a bridge of their network."""
        return self.inside if self.outside is None or self.by_host else (*self.inside, self.outside)
