"""Say on record that the instance runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Vif
from slipway.model.request import Host
from slipway.states import hosts, instances
from slipway.states.intent import Durability
from slipway.states.machines import Move


class Finish(Task):
    """Make the instance ACTIVE, with its addresses, its access addresses (N5) and launch time, in one commit.

    Needs no undo: it is the last step, and a delete begins from the state that it leads to.
    """

    name = "finish"
    kind = "launch"
    in_build_only = True
    vital = True
    leads_to = Move.FINISH

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Rows of our own."""
        return Durability.LOCAL

    def do(self, work: BuildWork, vifs: tuple[Vif, ...]) -> tuple[str, ...]:
        """Gives all addresses, in the order of the NICs. The ports are ACTIVE as well, where they are our own rows."""
        assert work.tx is not None
        if work.host is not None:
            hosts.build_succeeded(work.tx, work.host.name)
        if vifs and work.tools.drivers.network.local:
            work.tools.drivers.network.set_wired(work.instance.id, up=True, tx=work.tx)
        return tuple(ip.ip_address for vif in vifs for ip in vif.fixed_ips)

    def columns(self, tools: Tools, arguments: Mapping[str, Any], result: tuple[str, ...]) -> dict[str, Any]:
        """What is known of an instance once it runs; in the same statement that makes it ACTIVE."""
        access = _access(arguments["vifs"], tools.settings.default_access_network)
        return instances.launched(at=tools.clock(), addresses=result, access=access)


def _access(vifs: Sequence[Vif], network: str | None) -> tuple[str | None, str | None]:
    """The first IPv4 and the first IPv6 address on the default access network."""
    found: dict[int, str] = {}
    for vif in vifs:
        if network is not None and network in (vif.network_name, vif.network_id):
            for ip in vif.fixed_ips:
                found.setdefault(ipaddress.ip_address(ip.ip_address).version, ip.ip_address)
    return found.get(4), found.get(6)
