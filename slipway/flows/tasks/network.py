"""Work out which ports an instance needs, make or take them, and bind them to its host."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from slipway import errors
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model import (
    Allocation,
    Host,
    Network,
    NetworkRequest,
    Nic,
    Port,
    PortRequest,
    Scope,
    Subnet,
    Vif,
    VifRequirements,
)
from slipway.settings import Settings
from slipway.states.ledger import Durability


class NetworkTask(Task):
    """A step that asks the network service; what is transient is tried again, with waits of 1, 2, 4 ... 30 s."""

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The embedded network is rows of our own, any other is not."""
        return Durability.LOCAL if tools.drivers.network.local else Durability.FOREIGN

    def retries(self, settings: Settings) -> int:
        """Nova: `network_allocate_retries`."""
        return settings.network_allocate_retries


class RequireVifs(Task):
    """Ask the hypervisor which MACs and DHCP options it dictates (N1).

    Needs no undo and no record. A step of its own, so that the hypervisor is not asked inside a transaction.
    """

    name = "vif-requirements"
    kind = "requirements"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the hypervisor, that a resume repeats."""
        return Durability.PURE

    def do(self, work: Work) -> VifRequirements:
        """Raises `ComputeError`."""
        compute = work.on_host.compute
        macs = compute.macs_for_instance(work.instance.id)
        options = compute.dhcp_options_for_instance(work.instance.id)
        return VifRequirements(None if macs is None else tuple(sorted(macs)), options)


class AllocateNetwork(NetworkTask):
    """Resolve the NICs that were asked for to networks and ports, and check all of it before anything is made.

    Needs no undo: it only looks. It is recorded, since on a reschedule the same ports are to be used.
    """

    name = "allocate-network"
    kind = "allocation"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only, whatever the driver."""
        return Durability.RECORDED

    def do(self, work: Work, requirements: VifRequirements) -> Allocation:
        """Raises the `AbortBuild` that Nova names: `NetworkAmbiguous`, `PortInUse`, `FixedIpAlreadyInUse`, others."""
        request = work.instance.request
        if not request.project:
            raise errors.InvalidInput(f"instance {request.name}: the project is empty")
        groups = _security_groups(work) if request.security_groups else None
        wanted = request.networks if request.networks is not None else _only_network(work)
        return Allocation(
            tuple(
                _port_to_make(work, nic, groups)
                if nic.port is None
                else _port_brought_along(work, nic.port, requirements)
                for nic in wanted
            )
        )


class CreatePort(NetworkTask):
    """Give the instance a port on the network that it asked for, or take the one brought along."""

    name = "create-port"
    kind = "port"

    def scope_of(self, arguments: Mapping[str, Any]) -> Scope:
        """A port stays on a reschedule, unless its MAC is one that this host dictates."""
        return Scope.INSTANCE if arguments["requirements"].macs is None else Scope.HOST

    def do(self, work: Work, request: PortRequest, requirements: VifRequirements) -> Nic:
        """Raises `NoMoreFixedIps`, `FixedIpAlreadyInUse`, `PortLimitExceeded`, `PortNotFree`, or the service's."""
        network = work.tools.drivers.network
        if request.port_id is not None:
            # Looked at again, since another instance may have taken it since the networks were allocated.
            _check_free(work, network.show_port(work.context, request.port_id, tx=work.tx))
            port = network.update_port(work.context, request.port_id, device_id=work.instance.id, tx=work.tx)
            _check_mac(port, requirements)
            return Nic(port, request)
        options = requirements.dhcp_options
        try:
            port = network.create_port(
                work.context,
                key=work.effect.key,
                network_id=request.network.id,
                fixed_ips=[{"ip_address": request.fixed_ip}] if request.fixed_ip else None,
                mac_address=_free_mac(work, request.network, requirements.macs),
                device_id=work.instance.id,
                security_groups=request.security_groups,
                extra_dhcp_opts=[{"opt_name": o.opt_name, "opt_value": o.opt_value} for o in options] or None,
                tx=work.tx,
            )
        except errors.NetworkError as error:
            raise _as_nova(error, request) from error
        return Nic(port, request)

    def undo(self, work: Work, result: Nic | None, request: PortRequest) -> None:
        """Delete the port that was made; give the one brought along back, unless it is somebody else's by now."""
        network = work.tools.drivers.network
        if request.port_id is None:
            port = network.find_port(work.admin, work.effect.key, tx=work.tx)
            if port is not None:
                network.delete_port(work.admin, port.id, tx=work.tx)
            return
        owned = _owned(work, request.port_id)
        if owned is not None:
            network.update_port(work.admin, owned.id, device_id="", tx=work.tx)


class BindPort(NetworkTask):
    """Bind a port to the instance's host, as the administrator; gives the VIF as the domain will see it."""

    name = "bind-port"
    kind = "binding"
    scope = Scope.HOST
    uses = frozenset({"port"})
    per_slot = True

    def do(self, work: Work, nic: Nic) -> Vif:
        """Raises `PortBindingFailed`; a MAC in use is `PortInUse`, as Nova names it."""
        assert work.host is not None
        network = work.tools.drivers.network
        try:
            port = network.update_port(
                work.admin,
                nic.port.id,
                device_owner=f"compute:{work.host.zone}",
                binding_host_id=work.host.name,
                tx=work.tx,
            )
        except errors.MacAddressInUse as error:
            raise errors.PortInUse(f"port {nic.port.id}: {error}") from error
        if port.binding_vif_type == "binding_failed":
            raise errors.PortBindingFailed(f"port {port.id} could not be bound to host {work.host.name}")
        return _vif(port, nic.request)

    def undo(self, work: Work, result: Vif | None, nic: Nic) -> None:
        """Unbind it; its addresses and MAC stay. Gone, somebody else's, or on another host by now: nothing to do."""
        owned = _owned(work, nic.port.id)
        if owned is not None and owned.binding_host_id in ("", work.effect.host):
            work.tools.drivers.network.update_port(
                work.admin, owned.id, device_owner="", binding_host_id="", tx=work.tx
            )


def _owned(work: Work, port_id: str) -> Port | None:
    """The port if it is there and bears the instance's id; others must not be touched."""
    try:
        port = work.tools.drivers.network.show_port(work.admin, port_id, tx=work.tx)
    except errors.PortNotFound:
        return None
    return port if port.device_id == work.instance.id else None


def _check_free(work: Work, port: Port) -> None:
    if port.device_id not in ("", work.instance.id):
        raise errors.PortInUse(f"port {port.name or port.id} is in use by {port.device_id}")


def _check_mac(port: Port, requirements: VifRequirements) -> None:
    if requirements.macs is not None and port.mac_address not in requirements.macs:
        raise errors.PortNotUsable(f"port {port.name or port.id}: the host does not allow its MAC {port.mac_address}")


def _free_mac(work: Work, home: Network, macs: Sequence[str] | None) -> str | None:
    """One of the hypervisor's MACs that neither the instance nor the network has yet; None where any will do.

    A port that was made before its reply was lost keeps the one that it has.
    """
    if macs is None:
        return None
    network = work.tools.drivers.network
    made = network.find_port(work.admin, work.effect.key, tx=work.tx)
    if made is not None:
        return made.mac_address
    own = network.list_ports(work.admin, device_id=work.instance.id, tx=work.tx)
    others = network.list_ports(work.admin, network_id=home.id, tx=work.tx)
    left = sorted(set(macs) - {port.mac_address for port in (*own, *others)})
    if not left:
        raise errors.PortNotFree(f"instance {work.instance.name}: none of the host's {len(macs)} MAC addresses is left")
    return left[0]


def _as_nova(error: errors.NetworkError, request: PortRequest) -> errors.SlipwayError:
    """The error that Nova makes of Neutron's (P7); all others pass as they are."""
    for kind, nova in (
        (errors.IpAddressGenerationFailure, errors.NoMoreFixedIps),
        (errors.MacAddressInUse, errors.PortInUse),
        (errors.IpAddressInUse, errors.FixedIpAlreadyInUse),
        (errors.OverQuota, errors.PortLimitExceeded),
    ):
        if isinstance(error, kind):
            return nova(f"network {request.network.name}: {error}")
    return error


def _only_network(work: Work) -> tuple[NetworkRequest, ...]:
    """What is meant when nothing was asked for (P2): the one network that the project may use, or none."""
    networks = work.tools.drivers.network.list_networks(work.context)
    if len(networks) > 1:
        names = ", ".join(network.name for network in networks)
        raise errors.NetworkAmbiguous(
            f"{work.instance.name} names no network and project {work.instance.project} may use several: {names}"
        )
    return tuple(NetworkRequest(network=network.id) for network in networks)


def _security_groups(work: Work) -> tuple[str, ...]:
    known = work.tools.drivers.network.list_security_groups(work.context)
    by_name = {group.name: group.id for group in known} | {group.id: group.id for group in known}
    for name in work.instance.request.security_groups:
        if name not in by_name:
            raise errors.SecurityGroupNotFound(f"security group {name} is not known in project {work.instance.project}")
    return tuple(by_name[name] for name in work.instance.request.security_groups)


def _network(work: Work, wanted: str) -> Network:
    """The network by name or id, seen with the user's eyes."""
    driver = work.tools.drivers.network
    named = driver.list_networks(work.context, name=wanted)
    if len(named) > 1:
        raise errors.NetworkAmbiguous(f"several networks are called {wanted}; name one by its id")
    network = named[0] if named else driver.show_network(work.context, wanted)
    if network.router_external and not network.shared:
        raise errors.ExternalNetworkAttachForbidden(f"network {wanted} is external and not shared")
    return network


def _port_to_make(work: Work, nic: NetworkRequest, groups: tuple[str, ...] | None) -> PortRequest:
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


def _check_fixed_ip(work: Work, network: Network, subnets: Sequence[Subnet], wanted: str) -> None:
    """A look before anything is made; the database's constraint decides when two ask at once."""
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError as error:
        raise errors.InvalidInput(f"instance {work.instance.name}: '{wanted}' is no IP address") from error
    if not any(address in ipaddress.ip_network(subnet.cidr) for subnet in subnets):
        cidrs = ", ".join(subnet.cidr for subnet in subnets)
        raise errors.InvalidIpForNetwork(f"{wanted} is in no subnet of network {network.name} ({cidrs})")
    if work.tools.drivers.network.list_ports(work.admin, network_id=network.id, ip_address=wanted):
        raise errors.FixedIpAlreadyInUse(f"fixed IP {wanted} of network {network.name} is already in use")


def _port_brought_along(work: Work, wanted: str, requirements: VifRequirements) -> PortRequest:
    """A port made beforehand (P3): it must be the project's, free, and fit the hypervisor and the host name."""
    driver, instance = work.tools.drivers.network, work.instance
    named = driver.list_ports(work.context, name=wanted)
    if len(named) > 1:
        raise errors.PortNotUsable(f"several ports are called {wanted}; name one by its id")
    port = named[0] if named else driver.show_port(work.context, wanted)
    if port.project_id != instance.project:
        raise errors.PortNotUsable(f"port {wanted} belongs to another project")
    _check_free(work, port)
    _check_mac(port, requirements)
    if port.dns_name and port.dns_name != instance.name:
        raise errors.PortNotUsable(f"port {wanted} has DNS name {port.dns_name}, the instance is {instance.name}")
    if port.binding_vif_type == "binding_failed":
        raise errors.PortBindingFailed(f"port {wanted}: its binding has failed before")
    network = driver.show_network(work.context, port.network_id)
    subnets = driver.list_subnets(work.context, network_id=network.id)
    return PortRequest(network, tuple(subnets), port_id=port.id)


def _vif(port: Port, request: PortRequest) -> Vif:
    """The VIF as Nova models it: names cut as the bridge agent cuts them, admin down counts as active (I2)."""
    return Vif(
        port_id=port.id,
        network_id=request.network.id,
        network_name=request.network.name,
        mac_address=port.mac_address,
        devname=f"tap{port.id}"[:14],
        bridge=f"brq{request.network.id}"[:14],
        mtu=request.network.mtu,
        vif_type=port.binding_vif_type,
        vnic_type=port.binding_vnic_type,
        fixed_ips=port.fixed_ips,
        subnets=tuple(s for s in request.subnets if any(ip.subnet_id == s.id for ip in port.fixed_ips)),
        active=port.status == "ACTIVE" or not port.admin_state_up,
        preserve_on_delete=request.port_id is not None,
    )
