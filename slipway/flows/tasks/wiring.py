"""Join an instance's NICs to its host: the tap in its bridge, the filter on it, and the DHCP server's entry."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from msgspec.structs import replace

from slipway.drivers.network.base import NetworkDriver
from slipway.errors import PortNotFound
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.requirements import NetworkTask
from slipway.model.machine import DhcpService, Vif
from slipway.model.network import Context, Network, Port, SecurityGroupRule, Subnet
from slipway.model.neutron import ADMIN, DHCP_OWNER, HOST_OWNER
from slipway.model.record import EffectState, Scope
from slipway.model.request import Host
from slipway.states.effects import effects_of
from slipway.states.intent import Durability
from slipway.states.store import Store, Transaction


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


class Plug(WiringTask):
    """Plug one VIF: its tap, in its network's bridge (L3), and the routers that it is behind."""

    name = "plug"
    kind = "vif"
    in_build_only = True
    vital = True
    uses = frozenset({"port", "binding"})

    def do(self, work: BuildWork, vif: Vif) -> None:
        """Raises `WiringError`."""
        work.on_host.wiring.plug(work.instance.id, vif)
        _carry_routers(work)

    def undo(self, work: BuildWork, result: None, vif: Vif) -> None:
        """Unplug it; the routers go with the last that is behind them."""
        work.on_host.wiring.unplug(work.instance.id, vif.devname)
        _carry_routers(work, without=work.effect.key)


def _carry_routers(work: BuildWork, *, without: str | None = None) -> None:
    if has_wiring(work.tools, work.host):
        # Most builds are on simulated hosts, or have no router.
        from slipway.flows.tasks.hosting import carry_routers_on

        assert work.host is not None
        carry_routers_on(work.tools.store, work.tools.drivers, work.host, without=without)


class FilterPort(WiringTask):
    """Let through at the tap what port security and the port's security groups allow, before the guest can send."""

    name = "filter-port"
    kind = "filter"
    in_build_only = True
    vital = True
    uses = frozenset({"port", "binding"})

    def do(self, work: BuildWork, vif: Vif) -> None:
        """Raises `WiringError`."""
        if not has_wiring(work.tools, work.host):
            return
        rules = rules_of(work.tools.drivers.network, work.admin, vif)
        work.on_host.wiring.apply_filter(work.instance.id, vif, rules)

    def undo(self, work: BuildWork, result: None, vif: Vif) -> None:
        """Remove it."""
        work.on_host.wiring.remove_filter(vif.port_id)


def rules_of(network: NetworkDriver, context: Context, vif: Vif) -> list[SecurityGroupRule]:
    """The rules of all security groups that the VIF's port has."""
    groups = network.list_security_groups(context) if vif.security_groups else ()
    return [rule for group in groups if group.id in vif.security_groups for rule in group.rules]


class CreateDhcpPort(NetworkTask):
    """Give the network's DHCP server on this host a port of its own (L3), shared by all instances that it serves.

    Where the network says `host_address`, the host itself gets one in the same commit, which goes with the server's.
    """

    name = "create-dhcp-port"
    kind = "dhcp-port"
    in_build_only = True
    vital = True
    scope = Scope.HOST
    per_slot = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the network driver says, where there is a server."""
        return super().durability(tools, host) if _needs_server(tools, host) else Durability.PURE

    def do(self, work: BuildWork, vif: Vif) -> DhcpService:
        """Raises what the network service does."""
        if not _needs_server(work.tools, work.host):
            return DhcpService(vif, None)
        assert work.host is not None
        network = work.tools.drivers.network
        subnets = network.list_subnets(work.admin, network_id=vif.network_id, tx=work.tx)
        # Also where no subnet has DHCP: one may later, and nothing that is not on record is made then.
        server = network.create_port(
            work.admin,
            key=server_key(vif.network_id, work.host.name),
            network_id=vif.network_id,
            name="",
            fixed_ips=[{"subnet_id": subnet.id} for subnet in _asked(subnets) if subnet.enable_dhcp],
            device_id=f"dhcp-{work.host.name}-{vif.network_id}"[:255],
            device_owner=DHCP_OWNER,
            tx=work.tx,
        )
        home = network.show_network(work.admin, vif.network_id, tx=work.tx)
        host_port(network, work.admin, home, subnets, work.host.name, tx=work.tx)
        # It may be there since before there was a subnet.
        return DhcpService(vif, with_addresses(network, work.admin, server, subnets, tx=work.tx))

    def undo(self, work: BuildWork, result: DhcpService | None, vif: Vif) -> None:
        """Delete it, unless another NIC on the network and this host is to be served still.

        Where none is served by now, it is DOWN until one is.
        """
        host, network = work.effect.host, work.tools.drivers.network
        assert host is not None
        keys = server_key(vif.network_id, host), host_key(vif.network_id, host)

        def found() -> list[Port]:
            ports = (network.find_port(work.admin, key, tx=work.tx) for key in keys)
            return [port for port in ports if port is not None]

        if not (made := found()):
            return
        try:
            # Locks it until the commit, so that of several that go at once the last one sees that it is the last.
            network.update_port(work.admin, made[0].id, name=made[0].name, tx=work.tx)
        except PortNotFound:
            return
        ports = network.list_ports(work.admin, network_id=vif.network_id, tx=work.tx)
        there = {port.device_id for port in ports if port.binding_host_id == host} | {work.instance.id}
        standing: set[str] = set()
        for other in there:
            standing |= self._standing(work, other, host, vif.network_id)
            if ServeDhcp.kind in standing:
                return
        if self.kind in standing:
            network.set_wired(made[0].device_id, up=False, tx=work.tx)
        else:
            # Looked for again behind the lock: a refresh may just have given the host one.
            for port in found():
                network.delete_port(work.admin, port.id, tx=work.tx)

    def _standing(self, work: BuildWork, instance_id: str, host: str, network_id: str) -> set[str]:
        """Whether it is to be served, and is: by what is on record, for bound to the host a port is some steps more."""
        with work.tools.store.read() if work.tx is None else nullcontext(work.tx) as tx:
            recorded = [e for e in effects_of(tx, instance_id) if e.host == host and e.key != work.effect.key]
        there = [effect for effect in recorded if effect.state is not EffectState.UNDONE]
        vifs = [(self.kind, self.arguments_of(effect).vif) for effect in there if effect.kind == self.kind]
        serve = ServeDhcp()
        vifs += [(serve.kind, serve.arguments_of(effect).service.vif) for effect in there if effect.kind == serve.kind]
        return {kind for kind, vif in vifs if vif.network_id == network_id}


def _needs_server(tools: Tools, host: Host | None) -> bool:
    return has_wiring(tools, host) and not tools.drivers.network.brings_dhcp


def server_key(network_id: str, host: str) -> str:
    """The key of the port of the network's DHCP server on a host."""
    return f"dhcp/{network_id}/{host}"


def host_key(network_id: str, host: str) -> str:
    """The key of the port that the host itself has on the network."""
    return f"host/{network_id}/{host}"


def host_port(
    network: NetworkDriver,
    context: Context,
    home: Network,
    subnets: Sequence[Subnet],
    host: str,
    *,
    tx: Transaction | None = None,
) -> Port | None:
    """The host's own port, with an address in each of the network's subnets that gives some out; None: it has none.

    Made, changed or deleted where it is not so. Raises what the network service does.
    """
    key = host_key(home.id, host)
    found = network.find_port(context, key, tx=tx)
    if not home.host_address:
        if found is not None:
            network.delete_port(context, found.id, tx=tx)
        return None
    wanted = [{"subnet_id": subnet.id} for subnet in _asked(subnets)]
    if found is None:
        device = f"host-{host}-{home.id}"[:255]
        return network.create_port(
            context, key=key, network_id=home.id, name="", fixed_ips=wanted, device_id=device,
            device_owner=HOST_OWNER, tx=tx,
        )  # fmt: skip
    if is_host_port(found, subnets):
        return found
    return network.update_port(context, found.id, fixed_ips=wanted, tx=tx)


def keep_host_port(
    store: Store, network: NetworkDriver, home: Network, subnets: Sequence[Subnet], host: str
) -> Port | None:
    """As `host_port`, for who has no effect that holds it: not where the DHCP server's port, with which it goes, has
    gone meanwhile."""
    found = network.find_port(ADMIN, host_key(home.id, host))
    if home.host_address is (found is not None) and (found is None or is_host_port(found, subnets)):
        return found
    with store.write() as tx:
        server = network.find_port(ADMIN, server_key(home.id, host), tx=tx)
        if server is None:
            return None
        network.update_port(ADMIN, server.id, name=server.name, tx=tx)
        return host_port(network, ADMIN, home, subnets, host, tx=tx)


def is_host_port(port: Port, subnets: Sequence[Subnet]) -> bool:
    """Whether a host's own port has an address in each of these subnets that gives some out."""
    return {subnet.id for subnet in _asked(subnets)} <= {ip.subnet_id for ip in port.fixed_ips}


def with_addresses(
    network: NetworkDriver, context: Context, server: Port, subnets: Sequence[Subnet], *, tx: Transaction | None = None
) -> Port:
    """A DHCP server's port with an address in each of its network's subnets that has DHCP by now, and in no other.

    Raises what the network service does.
    """
    if has_addresses(server, subnets):
        return server
    # Where it is asked for a subnet that it has an address in, it keeps that (Neutron).
    fixed_ips = [{"subnet_id": subnet.id} for subnet in _asked(subnets) if subnet.enable_dhcp]
    return network.update_port(context, server.id, fixed_ips=fixed_ips, tx=tx)


def has_addresses(server: Port, subnets: Sequence[Subnet]) -> bool:
    """Whether the DHCP server's port has an address in each of these subnets that has DHCP, and in no other."""
    asked = {subnet.id: subnet.enable_dhcp for subnet in _asked(subnets)}
    wanted = {subnet_id for subnet_id, enabled in asked.items() if enabled}
    return asked.keys() & {ip.subnet_id for ip in server.fixed_ips} == wanted


def set_serving(network: NetworkDriver, server: Port) -> None:
    """Say of a DHCP server's port that it is ACTIVE; without an address no server is there yet."""
    if server.fixed_ips and server.status != "ACTIVE":
        network.set_wired(server.device_id, up=True)


def _asked(subnets: Sequence[Subnet]) -> list[Subnet]:
    """The subnets whose addresses are asked for: SLAAC subnets give theirs unasked."""
    return [subnet for subnet in subnets if subnet.ipv6_address_mode in (None, "dhcpv6-stateful")]


class ServeDhcp(WiringTask):
    """Have the network's DHCP server hand the NIC the addresses that its port has."""

    name = "serve-dhcp"
    kind = "dhcp"
    in_build_only = True
    vital = True
    uses = frozenset({"port", "binding", "dhcp-port"})

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The server is outside our database."""
        return Durability.FOREIGN if _needs_server(tools, host) else Durability.PURE

    def do(self, work: BuildWork, service: DhcpService) -> None:
        """Raises `WiringError`."""
        if service.server is not None:
            work.on_host.wiring.serve_dhcp(work.instance.id, as_served(work, service.vif), service.server)
            # It was as `service` says some steps ago; its last neighbour may have gone since.
            set_serving(work.tools.drivers.network, replace(service.server, status="DOWN"))

    def undo(self, work: BuildWork, result: None, service: DhcpService) -> None:
        """Release the lease and withdraw the entry."""
        if service.server is not None:
            work.on_host.wiring.withdraw_dhcp(service.vif.network_id, service.vif.port_id)


def as_served(work: BuildWork, vif: Vif, *, name: str | None = None) -> Vif:
    """The VIF as the network says now, for who serves it; `name`: as if that were its port's DNS name."""
    # Imported late: routers go by wiring.
    from slipway.flows.tasks.naming import as_now, reaches_out

    network, port = work.tools.drivers.network, work.tools.drivers.network.show_port(work.admin, vif.port_id)
    home = network.show_network(work.admin, vif.network_id)
    subnets = network.list_subnets(work.admin, network_id=vif.network_id)
    told = as_now(vif, port if name is None else replace(port, dns_name=name), subnets, home)
    own = host_port(network, work.admin, home, subnets, work.host.name) if work.host is not None else None
    return replace(told, reaches_out=reaches_out(network, home, subnets), host_port=own)
