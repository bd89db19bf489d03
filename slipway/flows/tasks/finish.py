"""Say on record that the instance runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model.machine import Vif
from slipway.model.request import Host
from slipway.states import hosts, instances
from slipway.states.ledger import Durability
from slipway.states.machines import Move


class Finish(Task):
    """Make the instance ACTIVE, with its addresses, its access addresses (N5) and launch time, in one commit.

    Needs no undo: it is the last step, and a delete begins from the state that it leads to.
    """

    name = "finish"
    kind = "launch"
    leads_to = Move.FINISH

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Rows of our own."""
        return Durability.LOCAL

    def do(self, work: Work, vifs: tuple[Vif, ...]) -> tuple[str, ...]:
        """Gives all addresses, in the order of the NICs."""
        assert work.tx is not None
        addresses = tuple(ip.ip_address for vif in vifs for ip in vif.fixed_ips)
        access = _access(vifs, work.tools.settings.default_access_network)
        instances.launched(work.tx, work.instance.id, at=work.tools.clock(), addresses=addresses, access=access)
        if work.host is not None:
            hosts.build_succeeded(work.tx, work.host.name)
        return addresses


def _access(vifs: Sequence[Vif], network: str | None) -> tuple[str | None, str | None]:
    """The first IPv4 and the first IPv6 address on the default access network."""
    found: dict[int, str] = {}
    for vif in vifs:
        if network is not None and network in (vif.network_name, vif.network_id):
            for ip in vif.fixed_ips:
                found.setdefault(ipaddress.ip_address(ip.ip_address).version, ip.ip_address)
    return found.get(4), found.get(6)
