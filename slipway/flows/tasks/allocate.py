"""BuildWork out which ports an instance needs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from slipway import errors
from slipway.flows.tasks.base import BuildWork, Tools
from slipway.flows.tasks.requirements import NetworkTask, check_free, check_mac
from slipway.model.hostname import host_name
from slipway.model.machine import Allocation, PortRequest, VifRequirements
from slipway.model.network import Network, Subnet
from slipway.model.request import Host, NetworkRequest
from slipway.model.routes import way_out
from slipway.states.intent import Durability


class AllocateNetwork(NetworkTask):
    """Resolve the NICs that were asked for to networks and ports, and check all of it before anything is made.

    Needs no undo: it only looks. It is recorded, since on a reschedule the same ports are to be used.
    """

    name = "allocate-network"
    kind = "allocation"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only, whatever the driver, on record with the first port."""
        return Durability.WITH_NEXT

    def do(self, work: BuildWork, requirements: VifRequirements) -> Allocation:
        """Raises the `AbortBuild` that Nova names: `NetworkAmbiguous`, `PortInUse`, `FixedIpAlreadyInUse`, others."""
        request = work.instance.request
        groups = security_groups(work) if request.security_groups else None
        wanted = request.networks if request.networks is not None else _only_network(work)
        resolved = (
            _port_to_make(work, nic, groups) if nic.port is None else _port_brought_along(work, nic.port, requirements)
            for nic in wanted
        )
        return Allocation(one_way_out(resolved))


def one_way_out(resolved: Iterable[PortRequest], before: Sequence[PortRequest] = ()) -> tuple[PortRequest, ...]:
    """The NICs, of which the first that a gateway is on has the guest's default route; those `before` count first."""
    told: list[PortRequest] = []
    for request in resolved:
        second = any(map(_leads_out, (*before, *told)))
        told.append(replace(request, default_route=False) if second else request)
    return tuple(told)


def _leads_out(request: PortRequest) -> bool:
    return any(subnet.ip_version == 4 and way_out(subnet) for subnet in request.subnets)


def _only_network(work: BuildWork) -> tuple[NetworkRequest, ...]:
    """What is meant when nothing was asked for (P2): the one network that the project may use, or none.

    Another project's external network can be seen, but is not for instances (Nova).
    """
    seen = work.tools.drivers.network.list_networks(work.context)
    networks = [network for network in seen if network.shared or network.project_id == work.instance.project]
    if len(networks) > 1:
        names = ", ".join(network.name for network in networks)
        raise errors.NetworkAmbiguous(
            f"{work.instance.name} names no network and project {work.instance.project} may use several: {names}"
        )
    return tuple(NetworkRequest(network=network.id) for network in networks)


def security_groups(work: BuildWork) -> tuple[str, ...]:
    """The ids of the groups, each named by name or id; of the project's `default` where none is named."""
    known = work.tools.drivers.network.list_security_groups(work.context)
    found: list[str] = []
    for wanted in work.instance.request.security_groups or ("default",):
        meant = [g.id for g in known if g.id == wanted] or [g.id for g in known if g.name == wanted]
        if not meant:
            project = work.instance.project
            raise errors.SecurityGroupNotFound(f"security group {wanted} is not known in project {project}")
        if len(meant) > 1:
            raise errors.NoUniqueMatch(f"several security groups are called {wanted}; name one by its id")
        found += meant
    return tuple(dict.fromkeys(found))


def _network(work: BuildWork, wanted: str) -> Network:
    """The network by name or id, seen with the user's eyes: an own one before a shared one of that name."""
    driver = work.tools.drivers.network
    named = driver.list_networks(work.context, name=wanted)
    own = [network for network in named if network.project_id == work.instance.project]
    named = own or [network for network in named if network.shared] or named
    if len(named) > 1:
        raise errors.NetworkAmbiguous(f"several networks are called {wanted}; name one by its id")
    network = named[0] if named else driver.show_network(work.context, wanted)
    if network.router_external and not network.shared:
        raise errors.ExternalNetworkAttachForbidden(f"network {wanted} is external and not shared")
    return network


def _port_to_make(work: BuildWork, nic: NetworkRequest, groups: tuple[str, ...] | None) -> PortRequest:
    driver = work.tools.drivers.network
    assert nic.network is not None
    network = _network(work, nic.network)
    subnets = driver.list_subnets(work.context, network_id=network.id)
    if groups is not None and not network.port_security_enabled:
        raise errors.SecurityGroupCannotBeApplied(f"network {network.name} has port security off: no groups there")
    if network.port_security_enabled and not subnets:
        raise errors.SecurityGroupCannotBeApplied(f"network {network.name} has no subnet: no security groups there")
    if nic.fixed_ip is not None:
        _check_fixed_ip(work, network, subnets, nic.fixed_ip)
    return PortRequest(network, tuple(subnets), nic.fixed_ip, security_groups=groups)


def _check_fixed_ip(work: BuildWork, network: Network, subnets: Sequence[Subnet], wanted: str) -> None:
    """A look before anything is made; the database's constraint decides when two ask at once."""
    address = ipaddress.ip_address(wanted)
    if not any(address in ipaddress.ip_network(subnet.cidr) for subnet in subnets):
        cidrs = ", ".join(subnet.cidr for subnet in subnets)
        raise errors.InvalidIpForNetwork(f"{wanted} is in no subnet of network {network.name} ({cidrs})")
    if work.tools.drivers.network.list_ports(work.admin, network_id=network.id, ip_address=wanted):
        raise errors.FixedIpAlreadyInUse(f"fixed IP {wanted} of network {network.name} is already in use")


def _port_brought_along(work: BuildWork, wanted: str, requirements: VifRequirements) -> PortRequest:
    """A port made beforehand (P3): it must be the project's, free, and fit the hypervisor and the host name."""
    driver, instance = work.tools.drivers.network, work.instance
    seen = driver.list_ports(work.context, name=wanted)
    # On an own network the ports of others are seen as well.
    named = [port for port in seen if port.project_id == instance.project] or seen
    if len(named) > 1:
        raise errors.PortNotUsable(f"several ports are called {wanted}; name one by its id")
    port = named[0] if named else driver.show_port(work.context, wanted)
    if port.project_id != instance.project:
        raise errors.PortNotUsable(f"port {wanted} belongs to another project")
    check_free(work, port)
    check_mac(port, requirements)
    if port.dns_name and port.dns_name.lower() != host_name(instance.name):
        raise errors.PortNotUsable(f"port {wanted} has DNS name {port.dns_name}, the instance is {instance.name}")
    if not port.fixed_ips:
        raise errors.PortRequiresFixedIP(f"port {wanted} has no address; give it one, or let a port be made")
    if port.binding_vif_type == "binding_failed":
        raise errors.PortBindingFailed(f"port {wanted}: its binding has failed before")
    network = driver.show_network(work.context, port.network_id)
    subnets = driver.list_subnets(work.context, network_id=network.id)
    return PortRequest(network, tuple(subnets), port_id=port.id)
