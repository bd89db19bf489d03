"""What the commands of routers and floating IPs have in common."""

from __future__ import annotations

from slipway.cli.options import Options, orchestrator
from slipway.cli.say import say

_REAL = "linuxbridge"


def tell_unrealised(options: Options) -> None:
    """Say on standard error where routers are on record only: no host forwards packets for them yet."""
    with orchestrator(options) as slipway:
        names = [usage.host.name for usage in slipway.hosts() if usage.host.wiring == _REAL]
    if names:
        say(
            f"note: routers and floating IPs are on record only: {', '.join(names)} forward no packets for them; "
            "addresses and rules hold, guests reach nothing by them",
            err=True,
        )
