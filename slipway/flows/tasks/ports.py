"""Make or take the ports of an instance, and bind them to its host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from slipway import errors
from slipway.flows.tasks.base import BuildWork
from slipway.flows.tasks.requirements import NetworkTask, check_free, check_mac
from slipway.model.hostname import dns_name
from slipway.model.machine import Nic, PortRequest, Vif, VifRequirements
from slipway.model.network import Network, Port
from slipway.model.neutron import OVS_BRIDGE, bridge_name, tap_name
from slipway.model.record import Scope
from slipway.model.request import Host

VPN = "vpn"
"""The key of a binding's profile that says that its instance is a VPN's end."""


class CreatePort(NetworkTask):
    """Give the instance a port on the network that it asked for, or take the one brought along."""

    name = "create-port"
    kind = "port"
    in_build_only = True
    vital = True

    def scope_of(self, arguments: Mapping[str, Any]) -> Scope:
        """A port stays on a reschedule, unless its MAC is one that this host dictates."""
        return Scope.INSTANCE if arguments["requirements"].macs is None else Scope.HOST

    def do(self, work: BuildWork, request: PortRequest, requirements: VifRequirements) -> Nic:
        """Raises `NoMoreFixedIps`, `FixedIpAlreadyInUse`, `PortLimitExceeded`, `PortNotFree`, or the service's."""
        network = work.tools.drivers.network
        if request.port_id is not None:
            # Looked at again, since another instance may have taken it since the networks were allocated.
            free = network.show_port(work.context, request.port_id, tx=work.tx)
            check_free(work, free)
            port = network.update_port(work.context, free.id, unchanged=free, device_id=work.instance.id, tx=work.tx)
            check_mac(port, requirements)
            return Nic(port, request)
        try:
            port = network.create_port(
                work.context,
                key=work.effect.key,
                network_id=request.network.id,
                fixed_ips=[{"ip_address": request.fixed_ip}] if request.fixed_ip else None,
                mac_address=_free_mac(work, request.network, requirements.macs),
                device_id=work.instance.id,
                security_groups=request.security_groups,
                extra_dhcp_opts=_dhcp_options(request, requirements) or None,
                dns_name=dns_name(work.instance.name),
                tx=work.tx,
            )
        except errors.NetworkError as error:
            raise _as_nova(error, request) from error
        # One that was made before its reply was lost may have been given away since.
        _check_ours(work, port)
        return Nic(port, request)

    def undo(self, work: BuildWork, result: Nic | None, request: PortRequest) -> None:
        """Delete the port that was made, give back the one brought along; unless it is not the instance's any more."""
        network = work.tools.drivers.network
        if request.port_id is None:
            port = network.find_port(work.admin, work.effect.key, tx=work.tx)
            if port is not None and port.device_id == work.instance.id:
                network.delete_port(work.admin, port.id, tx=work.tx)
            return
        owned = owned_port(work, request.port_id)
        if owned is not None:
            network.update_port(work.admin, owned.id, unchanged=owned, device_id="", tx=work.tx)


class BindPort(NetworkTask):
    """Bind a port to the instance's host, as the administrator; gives the VIF as the domain will see it."""

    name = "bind-port"
    kind = "binding"
    in_build_only = True
    vital = True
    scope = Scope.HOST
    uses = frozenset({"port"})
    per_slot = True

    def do(self, work: BuildWork, nic: Nic) -> Vif:
        """Raises `PortBindingFailed`; a MAC in use is `PortInUse`, as Nova names it."""
        assert work.host is not None
        return self.bind(work, nic, work.host)

    def bind(self, work: BuildWork, nic: Nic, host: Host) -> Vif:
        """Bind it to this host. Raises as `do`."""
        network = work.tools.drivers.network
        try:
            port = network.update_port(
                work.admin,
                nic.port.id,
                device_owner=f"compute:{host.zone}",
                binding_host_id=host.name,
                tx=work.tx,
                **_vpn(work, nic.port.id),
            )
        except errors.MacAddressInUse as error:
            raise errors.PortInUse(f"port {nic.port.id}: {error}") from error
        return bound(work, nic, port, host)

    def undo(self, work: BuildWork, result: Vif | None, nic: Nic) -> None:
        """Unbind it, as far as it still is as we bound it; its addresses and MAC stay.

        Gone, never bound, or somebody else's by now: nothing to do. Where it is bound to another host as well, that
        binding is the one that counts from then on, if the instance is there, and this one goes.
        """
        port = _found(work, nic.port.id)
        if port is None or port.device_id not in ("", work.instance.id):
            return
        network, here = work.tools.drivers.network, work.effect.host or ""
        counts, now = port.binding_host_id, work.change.host if work.change is not None else work.instance.host
        if counts == here and now not in (None, here) and _is_bound_to(work, port, now):
            network.activate_binding(work.admin, port.id, now, tx=work.tx)
            counts = now
        if counts not in ("", here):
            network.delete_binding(work.admin, port.id, here, tx=work.tx)
            return
        cleared: dict[str, Any] = {}
        if port.device_owner.startswith("compute:"):
            cleared["device_owner"] = ""
        if port.binding_host_id:
            cleared["binding_host_id"] = ""
        if VPN in (profile := json.loads(port.binding_profile)):
            cleared["binding_profile"] = {key: value for key, value in profile.items() if key != VPN}
        if cleared:
            work.tools.drivers.network.update_port(work.admin, port.id, unchanged=port, tx=work.tx, **cleared)


def bound(work: BuildWork, nic: Nic, port: Port, host: Host) -> Vif:
    """The VIF of a port that is bound to this host. Raises as `bind-port`."""
    _check_ours(work, port)
    if port.binding_vif_type == "binding_failed":
        raise errors.PortBindingFailed(
            f"port {port.id} could not be bound to host {host.name}: {_kind_of(nic.request.network)}"
        )
    if json.loads(port.binding_vif_details).get("ovs_hybrid_plug"):
        raise errors.VirtualInterfaceCreateException(
            f"port {port.id}: the Open vSwitch agent of {host.name} filters on a bridge of its own for each "
            "port (iptables_hybrid), which Slipway does not make; give the agent firewall_driver = openvswitch"
        )
    return _vif(port, nic.request)


def _is_bound_to(work: BuildWork, port: Port, host: str | None) -> bool:
    found = work.tools.drivers.network.list_bindings(work.admin, port.id, tx=work.tx)
    return any(one.host == host for one in found)


def _vpn(work: BuildWork, port_id: str) -> dict[str, Any]:
    """What says in the port's binding that its instance is a VPN's end, where its image is for that (N6).

    Only an administrator sees the rest of the profile, which stays.
    """
    if not work.instance.request.image.vpn:
        return {}
    port = work.tools.drivers.network.show_port(work.admin, port_id, tx=work.tx)
    return {"binding_profile": {**json.loads(port.binding_profile), VPN: True}}


def _kind_of(network: Network) -> str:
    """What the host may not have of it."""
    on = f" on {network.provider_physical_network}" if network.provider_physical_network else ""
    return f"network {network.name} is {network.provider_network_type or 'of no type'}{on}"


def _check_ours(work: BuildWork, port: Port) -> None:
    """Raise `PortInUse` for a port that was the instance's and was taken from it."""
    if port.device_id != work.instance.id:
        raise errors.PortInUse(
            f"port {port.name or port.id} was taken from {work.instance.name}: its device_id is "
            f"{port.device_id or 'empty'}"
        )


def _found(work: BuildWork, port_id: str) -> Port | None:
    try:
        return work.tools.drivers.network.show_port(work.admin, port_id, tx=work.tx)
    except errors.PortNotFound:
        return None


def owned_port(work: BuildWork, port_id: str) -> Port | None:
    """The port if it is there and bears the instance's id; others must not be touched."""
    port = _found(work, port_id)
    return port if port is not None and port.device_id == work.instance.id else None


def _free_mac(work: BuildWork, home: Network, macs: Sequence[str] | None) -> str | None:
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


def _dhcp_options(request: PortRequest, requirements: VifRequirements) -> list[dict[str, str]]:
    """What the hypervisor dictates; and that there is no router, where another NIC has the default route."""
    said = {} if request.default_route else {"router": ""}
    said |= {option.opt_name: option.opt_value for option in requirements.dhcp_options}
    return [{"opt_name": name, "opt_value": value} for name, value in said.items()]


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


def _bridge(port: Port, home: Network) -> str:
    """The bridge that the port is to be on; its host's agent may name another one than is usual (Nova)."""
    usual = OVS_BRIDGE if port.binding_vif_type == "ovs" else bridge_name(home.id)
    bridge: str = json.loads(port.binding_vif_details).get("bridge_name") or usual
    return bridge


def _vif(port: Port, request: PortRequest) -> Vif:
    """The VIF as Nova models it: names cut as the bridge agent cuts them, admin down counts as active (I2)."""
    return Vif(
        port_id=port.id,
        network_id=request.network.id,
        network_name=request.network.name,
        mac_address=port.mac_address,
        devname=tap_name(port.id),
        bridge=_bridge(port, request.network),
        mtu=request.network.mtu,
        vif_type=port.binding_vif_type,
        vnic_type=port.binding_vnic_type,
        fixed_ips=port.fixed_ips,
        subnets=tuple(s for s in request.subnets if any(ip.subnet_id == s.id for ip in port.fixed_ips)),
        active=port.status == "ACTIVE" or not port.admin_state_up,
        preserve_on_delete=request.port_id is not None,
        network_type=request.network.provider_network_type,
        physical_network=request.network.provider_physical_network,
        segmentation_id=request.network.provider_segmentation_id,
        port_security_enabled=port.port_security_enabled,
        security_groups=port.security_groups,
        allowed_address_pairs=port.allowed_address_pairs,
        dhcp_options=port.extra_dhcp_opts,
        admin_up=port.admin_state_up and request.network.admin_state_up,
    )
