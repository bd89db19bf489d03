"""The ports of an instance that the network service has lost: made again with the addresses that its guest uses."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import BY_KIND, arguments_of
from slipway.model.hostname import dns_name
from slipway.model.machine import DhcpService, Nic, Vif
from slipway.model.network import Context, Port
from slipway.model.neutron import ADMIN
from slipway.model.record import Effect
from slipway.operations.hands import Hands
from slipway.operations.wired import taken_from
from slipway.states import codec, instances
from slipway.states.machines import VmState


def mend_ports(hands: Hands) -> None:
    """Have each NIC's port be there, the instance's, and bound to its host.

    Raises `PortInUse` for one that somebody else has by now, or whose address or MAC has; what the service does.
    """
    network = hands.run.tools.drivers.network
    for effect in reversed(hands.done("port")):
        nic = _result(effect, Nic)
        hands.check()
        with within(hands.run.tools.settings.step_timeout):
            try:
                port = network.show_port(ADMIN, nic.port.id)
            except errors.PortNotFound:
                port = _made_again(hands, effect, nic)
                _let_go(hands, effect.slot, nic.port.id, port.id)
                _amend(hands, effect, nic, port)
        if port.device_id != hands.run.instance.id:
            port = _taken_back(hands, port)
        _bind(hands, effect.slot, port)


def mend_servers(hands: Hands) -> None:
    """Have the ports of the DHCP servers be there that serve the instance. Raises what the service does."""
    network = hands.run.tools.drivers.network
    for effect in reversed(hands.done("dhcp-port")):
        service = _result(effect, DhcpService)
        if service.server is None:
            continue
        hands.check()
        with within(hands.run.tools.settings.step_timeout):
            try:
                network.show_port(ADMIN, service.server.id)
                continue
            except errors.PortNotFound:
                made: DhcpService = _do(hands, effect, vif=service.vif)
        changed = [_with_result(effect, made)]
        changed += [_with(one, service=made) for one in hands.done("dhcp") if one.slot == effect.slot]
        hands.run.ledger.amend(changed)


def _made_again(hands: Hands, effect: Effect, nic: Nic) -> Port:
    """A port like the one that is gone; its own may be gone while its address is somebody else's by now."""
    old, instance = nic.port, hands.run.instance
    network = hands.run.tools.drivers.network
    try:
        made = network.create_port(
            Context(old.project_id, is_admin=True),
            key=effect.key,
            network_id=old.network_id,
            name=old.name,
            fixed_ips=[{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in old.fixed_ips],
            mac_address=old.mac_address,
            device_id=instance.id,
            security_groups=old.security_groups,
            extra_dhcp_opts=[asdict(option) for option in old.extra_dhcp_opts] or None,
            dns_name=dns_name(instance.name),
        )
    except (errors.IpAddressInUse, errors.MacAddressInUse) as error:
        addresses = ", ".join(ip.ip_address for ip in old.fixed_ips)
        raise errors.PortInUse(
            f"port {old.name or old.id} of {instance.name} was deleted, and what its guest uses ({addresses}, "
            f"{old.mac_address}) is another port's by now: {error}"
        ) from error
    if (
        made.port_security_enabled != old.port_security_enabled
        or made.allowed_address_pairs != old.allowed_address_pairs
    ):
        pairs = [asdict(pair) for pair in old.allowed_address_pairs]
        return network.update_port(
            ADMIN, made.id, port_security_enabled=old.port_security_enabled, allowed_address_pairs=pairs
        )
    return made


def _taken_back(hands: Hands, port: Port) -> Port:
    """The instance's again, where nobody else has it. Raises `PortInUse`."""
    instance, network = hands.run.instance, hands.run.tools.drivers.network
    if not is_free(hands.run.tools, port):
        raise taken_from(instance, port)
    hands.check()
    return network.update_port(ADMIN, port.id, unchanged=port, device_id=instance.id)


def is_free(tools: Tools, port: Port) -> bool:
    """Whether nobody has the port; in a network of our own nobody but an instance on record can have one."""
    if not port.device_id:
        return True
    if not tools.drivers.network.local:
        return False
    with tools.store.read() as tx:
        try:
            return instances.get(tx, port.device_id).vm_state == VmState.DELETED
        except errors.InstanceNotFound:
            return True


def _let_go(hands: Hands, slot: int, old: str, new: str) -> None:
    """Take away what is named by the old port's id where the new one has another."""
    wiring = hands.drivers().wiring
    if old == new or wiring.local:
        return
    for effect in hands.done("dhcp", "filter"):
        if effect.slot != slot:
            continue
        if effect.kind == "filter":
            wiring.remove_filter(old)
        else:
            wiring.withdraw_dhcp(arguments_of(effect).service.vif.network_id, old)


def _amend(hands: Hands, effect: Effect, nic: Nic, port: Port) -> None:
    """Have on record by which port's id the NIC is known from now on. Its tap keeps its name: the guest has it open."""
    request = replace(nic.request, port_id=port.id if nic.request.port_id is not None else None)
    now = Nic(port, request)
    changed = [replace(_with_result(effect, now), args=codec.encode({"request": request}))]
    for one in hands.done("binding", "vif", "filter", "dhcp-port", "dhcp"):
        if one.slot != effect.slot:
            continue
        given = arguments_of(one)
        match one.kind:
            case "binding":
                vif = replace(_result(one, Vif), port_id=port.id)
                changed.append(_with_result(_with(one, nic=now), vif))
            case "dhcp-port":
                vif = replace(given.vif, port_id=port.id)
                changed.append(_with_result(_with(one, vif=vif), replace(_result(one, DhcpService), vif=vif)))
            case "dhcp":
                service = given.service
                changed.append(_with(one, service=replace(service, vif=replace(service.vif, port_id=port.id))))
            case _:
                changed.append(_with(one, vif=replace(given.vif, port_id=port.id)))
    hands.run.ledger.amend(changed)


def _bind(hands: Hands, slot: int, port: Port) -> None:
    for effect in hands.done("binding"):
        if effect.slot == slot and port.binding_host_id != effect.host:
            hands.check()
            network = hands.run.tools.drivers.network
            if effect.host is not None and network.binds_twice(ADMIN):
                # One that does not count, and is in the way of one that does.
                network.delete_binding(ADMIN, port.id, effect.host)
            _do(hands, effect, nic=arguments_of(effect).nic)


def _do(hands: Hands, effect: Effect, **given: Any) -> Any:
    """Have the effect again, as its own task has it."""
    run, seconds = hands.run, hands.run.tools.settings.step_timeout
    with within(seconds):
        return BY_KIND[effect.kind].do(run.work(effect, seconds), **given)


def _result(effect: Effect, type_: type[Any]) -> Any:
    if effect.result is None:
        raise errors.RecordDamaged(f"{effect.key} has no result on record")
    return codec.decode(effect.result, type_)


def _with_result(effect: Effect, result: Struct) -> Effect:
    return replace(effect, result=codec.encode(result))


def _with(effect: Effect, **changed: Any) -> Effect:
    """The effect with other arguments on record."""
    given = arguments_of(effect)
    kept = {name: getattr(given, name) for name in given.__struct_fields__}
    return replace(effect, args=codec.encode({**kept, **changed}))
