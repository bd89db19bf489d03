"""Join an instance's NICs to its host: the tap in its bridge, the filter on it, and the DHCP server's entry."""

from __future__ import annotations

from slipway.drivers.network.base import NetworkDriver
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.network import NetworkTask
from slipway.model import Context, DhcpService, Host, Scope, SecurityGroupRule, Vif
from slipway.states.ledger import Durability

DHCP_OWNER = "network:dhcp"
"""The device owner of a DHCP server's port (Neutron)."""


class WiringTask(Task):
    """A step of one NIC that the host's wiring carries out. Where a host has none, nothing is done or recorded."""

    scope = Scope.HOST
    per_slot = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """Bridges and taps are outside our database."""
        return Durability.FOREIGN if has_wiring(tools, host) else Durability.PURE


def has_wiring(tools: Tools, host: Host | None) -> bool:
    """Whether the host joins its instances to networks."""
    return host is not None and not tools.drivers.on(host).wiring.local


class Plug(Task):
    """Plug one VIF: its tap, in its network's bridge (L3)."""

    name = "plug"
    kind = "vif"
    scope = Scope.HOST
    uses = frozenset({"port", "binding"})
    per_slot = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the driver says."""
        return Durability.LOCAL if host and tools.drivers.on(host).wiring.local else Durability.FOREIGN

    def do(self, work: Work, vif: Vif) -> None:
        """Raises `WiringError`."""
        work.on_host.wiring.plug(work.instance.id, vif)

    def undo(self, work: Work, result: None, vif: Vif) -> None:
        """Unplug it."""
        work.on_host.wiring.unplug(work.instance.id, vif.devname)


class FilterPort(WiringTask):
    """Let through at the tap what port security and the port's security groups allow, before the guest can send."""

    name = "filter-port"
    kind = "filter"
    uses = frozenset({"port", "binding"})

    def do(self, work: Work, vif: Vif) -> None:
        """Raises `WiringError`."""
        if not has_wiring(work.tools, work.host):
            return
        rules = rules_of(work.tools.drivers.network, work.admin, vif)
        work.on_host.wiring.apply_filter(work.instance.id, vif, rules)

    def undo(self, work: Work, result: None, vif: Vif) -> None:
        """Remove it."""
        work.on_host.wiring.remove_filter(vif.port_id)


def rules_of(network: NetworkDriver, context: Context, vif: Vif) -> list[SecurityGroupRule]:
    """The rules of all security groups that the VIF's port has."""
    groups = network.list_security_groups(context) if vif.security_groups else ()
    return [rule for group in groups if group.id in vif.security_groups for rule in group.rules]


class CreateDhcpPort(NetworkTask):
    """Give the network's DHCP server on this host a port of its own (L3), shared by all instances that it serves."""

    name = "create-dhcp-port"
    kind = "dhcp-port"
    scope = Scope.HOST
    per_slot = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the network driver says, where there is a server."""
        return super().durability(tools, host) if _needs_server(tools, host) else Durability.PURE

    def do(self, work: Work, vif: Vif) -> DhcpService:
        """Raises what the network service does."""
        if not _needs_server(work.tools, work.host):
            return DhcpService(vif, None)
        assert work.host is not None
        network = work.tools.drivers.network
        served = [subnet for subnet in network.list_subnets(work.admin, network_id=vif.network_id, tx=work.tx)
                  if subnet.enable_dhcp]
        if not served:
            return DhcpService(vif, None)
        server = network.create_port(
            work.admin,
            key=_server_key(vif, work.host.name),
            network_id=vif.network_id,
            name="",
            # SLAAC subnets give their address unasked.
            fixed_ips=[{"subnet_id": s.id} for s in served if s.ipv6_address_mode in (None, "dhcpv6-stateful")],
            device_id=f"dhcp-{work.host.name}-{vif.network_id}"[:255],
            device_owner=DHCP_OWNER,
            tx=work.tx,
        )
        return DhcpService(vif, server)

    def undo(self, work: Work, result: DhcpService | None, vif: Vif) -> None:
        """Delete it, unless another instance's port on the network is bound to this host."""
        host = work.effect.host
        assert host is not None
        network = work.tools.drivers.network
        server = network.find_port(work.admin, _server_key(vif, host), tx=work.tx)
        if server is None:
            return
        ports = network.list_ports(work.admin, network_id=vif.network_id, tx=work.tx)
        if not any(p.binding_host_id == host and p.device_id != work.instance.id for p in ports if p.id != server.id):
            network.delete_port(work.admin, server.id, tx=work.tx)


def _needs_server(tools: Tools, host: Host | None) -> bool:
    return has_wiring(tools, host) and not tools.drivers.network.brings_dhcp


def _server_key(vif: Vif, host: str) -> str:
    return f"dhcp/{vif.network_id}/{host}"


class ServeDhcp(WiringTask):
    """Have the network's DHCP server hand the NIC the addresses that its port has."""

    name = "serve-dhcp"
    kind = "dhcp"
    uses = frozenset({"port", "binding", "dhcp-port"})

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The server is outside our database."""
        return Durability.FOREIGN if _needs_server(tools, host) else Durability.PURE

    def do(self, work: Work, service: DhcpService) -> None:
        """Raises `WiringError`."""
        if service.server is not None:
            work.on_host.wiring.serve_dhcp(work.instance.id, service.vif, service.server)

    def undo(self, work: Work, result: None, service: DhcpService) -> None:
        """Release the lease and withdraw the entry."""
        if service.server is not None:
            work.on_host.wiring.withdraw_dhcp(service.vif.network_id, service.vif.port_id)
