"""Changing a port: every attribute, its addresses, groups, options and binding, in one go or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.exc import IntegrityError

from slipway import errors
from slipway.drivers.network.embedded.addressing import fixed_ip_changes, fixed_ips
from slipway.drivers.network.embedded.addressing.fixed_ips import Holder, Taken
from slipway.drivers.network.embedded.common import policy
from slipway.drivers.network.embedded.common.owners import is_trusted
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import ports
from slipway.drivers.network.embedded.ports import port_rows, port_uses
from slipway.drivers.network.embedded.ports.port_attributes import PORT, says_something
from slipway.drivers.network.embedded.ports.ports import Ports
from slipway.drivers.network.embedded.security import port_security
from slipway.drivers.network.embedded.topology import binding
from slipway.drivers.network.embedded.topology.binding import UNBOUND, UNPLUGGED, Mechanisms
from slipway.drivers.network.embedded.topology.mechanisms import PortChange
from slipway.model.network import Context, Port
from slipway.states.store import Transaction

_PLAIN = ("name", "description", "admin_state_up", "device_id", "device_owner", "dns_name", "port_security_enabled")
_CHANGED = (
    *_PLAIN,
    *("status", "allowed_address_pairs", "extra_dhcp_opts"),
    *("binding_host_id", "binding_vif_type", "binding_vnic_type", "binding_profile"),
)
# All columns that can change at once: a statement that is always the same is compiled once.
_UPDATE = (
    ports.update()
    .where(ports.c.id == sa.bindparam("port"))
    .values({ports.c[name]: sa.bindparam(f"new_{name}", type_=ports.c[name].type) for name in _CHANGED})
)
_SET_MAC = ports.update().where(ports.c.id == sa.bindparam("port")).values(mac_address=sa.bindparam("mac"))


class PortChanges:
    """Changes the ports in the database."""

    def __init__(self, services: Services, ports: Ports, mechanisms: Mechanisms) -> None:
        self._services = services
        self._ports = ports
        self._mechanisms = mechanisms

    def update(
        self, tx: Transaction, context: Context, port_id: str, given: Mapping[str, Any], unchanged: Port | None = None
    ) -> PortChange:
        """Change what is given, if the port is still `unchanged`; gives the port before and after.

        Raises what `PORT` finds wrong, `PortNotFound`, `RevisionNumberConstraintFailed`, `PolicyNotAuthorized`,
        `PortBound`, `MacAddressInUse`, what `fixedips` and `portsecurity` raise, `MechanismDriverError`.
        """
        values = PORT.for_update(given)
        self._services.check_dns_name(values)
        row = self._ports.row(tx, context, port_id, lock=True)
        before = port_rows.from_row(row)
        if unchanged is not None and before != unchanged:
            raise errors.RevisionNumberConstraintFailed(f"port {port_id}: has changed since it was looked at")
        if not context.is_admin and row.project_id != context.project_id:
            raise errors.PolicyNotAuthorized(f"port {port_id}: belongs to another project")
        policy.check_port(context, PORT, values, row, create=False)
        if "fixed_ips" in values:
            port_uses.check_readdress(tx, context, row.id, values["fixed_ips"])
        owner, device = values.get("device_owner") or row.device_owner, values.get("device_id") or row.device_id
        if "device_owner" in values or values.get("device_id") != row.device_id:
            port_uses.check_router(tx, context, owner, device, row.project_id)
        new = dict(row._mapping)
        if bound_anew := binding.changed(values, row):
            new |= bound_anew | {"status": "DOWN", "binding_vif_type": UNBOUND}
        taken = self._readdress(tx, values, row, new)
        if "fixed_ips" in values:
            port_uses.end_forwardings(tx, row.id, keep=[each.address for each in taken])
        binding.check_profile(values.get("binding_profile") or {})
        new |= {name: values[name] for name in _PLAIN if name in values}
        if not new["admin_state_up"]:
            new["status"] = "DOWN"
        enabled, groups = new["port_security_enabled"], port_rows.groups_of(row)
        port_security.check_changed(enabled, values, row.allowed_address_pairs, groups)
        if "allowed_address_pairs" in values:
            pairs = port_security.with_own_mac(values["allowed_address_pairs"], new["mac_address"])
            new["allowed_address_pairs"] = pairs
        if values.get("extra_dhcp_opts"):
            new["extra_dhcp_opts"] = _merge_options(row.extra_dhcp_opts or (), values["extra_dhcp_opts"])
        groups = self._regroup(tx, context, values, row)
        return self._store(tx, row, before, new, taken, groups)

    def _store(
        self,
        tx: Transaction,
        row: sa.Row[Any],
        before: Port,
        new: dict[str, Any],
        taken: list[Taken],
        groups: tuple[str, ...],
    ) -> PortChange:
        port = port_rows.build(new, taken, groups)
        if port.binding_host_id and port.binding_vif_type in UNPLUGGED:
            new["binding_vif_type"] = vif_type = self._mechanisms.bind(tx, port, row)
            port = replace(port, binding_vif_type=vif_type)
        tx.execute(_UPDATE, {f"new_{name}": new[name] for name in _CHANGED} | {"port": row.id})
        change = PortChange("update", port, before)
        self._mechanisms.precommit(tx, change)
        return change

    def _new_mac(self, values: Mapping[str, Any], row: sa.Row[Any]) -> str | None:
        """The MAC that the port is to have from now on (None asks for a random one), None: the one that it has.

        Raises `PortBound`, and `UnsupportedPortDeviceOwner` for the network's own ports.
        """
        if "mac_address" not in values or values["mac_address"] == row.mac_address:
            return None
        if row.binding_vif_type not in UNPLUGGED:
            raise errors.PortBound(f"port {row.id}: is bound to {row.binding_host_id}, so its MAC address stays")
        if is_trusted(values.get("device_owner") or row.device_owner):
            raise errors.UnsupportedPortDeviceOwner(f"port {row.id}: the MAC address of {row.device_owner} ports stays")
        return values["mac_address"] or self._services.macs.draw()

    def _readdress(
        self, tx: Transaction, values: Mapping[str, Any], row: sa.Row[Any], new: dict[str, Any]
    ) -> list[Taken]:
        """Give the port its new MAC and addresses; what is asked for is checked before anything is changed."""
        mac = self._new_mac(values, row)
        # Neutron: a device owner that is given along counts from the next change on.
        holder = Holder(row.id, row.network_id, row.device_owner, mac or row.mac_address)
        plan = self._plan_addresses(tx, holder, values, row)
        if mac:
            _set_mac(tx, row, mac)
            new["mac_address"] = mac
        return fixed_ip_changes.carry_out(tx, holder, plan)

    def _plan_addresses(
        self, tx: Transaction, holder: Holder, values: Mapping[str, Any], row: sa.Row[Any]
    ) -> fixed_ip_changes.Plan:
        current, mac_changed = port_rows.taken(row), holder.mac_address != row.mac_address
        if "fixed_ips" not in values and not mac_changed:
            return fixed_ip_changes.Plan(current)
        wanted = values.get("fixed_ips")
        fixed_ips.check_number(wanted, holder, self._services.settings.max_fixed_ips_per_port)
        site = tx.execute(port_rows.SUBNETS, {"network": row.network_id}).all()
        subnets = fixed_ips.candidates(port_rows.with_subnets(site), row.network_id, row.device_owner)
        frozen = port_uses.is_routers(tx, row)
        return fixed_ip_changes.plan(tx, holder, subnets, current, wanted, mac_changed=mac_changed, frozen=frozen)

    def _regroup(
        self, tx: Transaction, context: Context, values: Mapping[str, Any], row: sa.Row[Any]
    ) -> tuple[str, ...]:
        current = port_rows.groups_of(row)
        groups: tuple[str, ...] = values.get("security_groups", current)
        if groups == current:
            return current
        if is_trusted(values.get("device_owner", "")):
            groups = ()
        port_security.check_groups(tx, context, row.project_id, groups)
        port_security.set_groups(tx, row.id, groups)
        return groups


def _set_mac(tx: Transaction, row: sa.Row[Any], mac: str) -> None:
    """Change the MAC before anything is made of it. Raises `MacAddressInUse`."""
    try:
        with tx.begin_nested():
            tx.execute(_SET_MAC, {"port": row.id, "mac": mac})
    except IntegrityError as error:
        raise errors.MacAddressInUse(f"network {row.network_id}: MAC address {mac} is in use") from error


def _merge_options(current: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Neutron: options that are not named stay; a value of None takes the option away."""
    options = {(option["opt_name"], option["ip_version"]): option for option in current}
    for option in given:
        key = option["opt_name"], option["ip_version"]
        if option["opt_value"] is None:
            options.pop(key, None)
        elif says_something(option):
            options[key] = option
    return list(options.values())
