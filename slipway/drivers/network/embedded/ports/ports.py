"""Ports: made, deleted, shown; each call is one transaction's part (S1). Changing them is in `portchanges`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.embedded.addressing import fixed_ips
from slipway.drivers.network.embedded.addressing.fixed_ips import Holder, Taken, Wanted
from slipway.drivers.network.embedded.common import checks, policy
from slipway.drivers.network.embedded.common.listing import Listing, Page, Relation, one, viewer
from slipway.drivers.network.embedded.common.macs import as_spelled
from slipway.drivers.network.embedded.common.owners import is_trusted
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import allocations, networks, port_security_groups, ports
from slipway.drivers.network.embedded.ports import port_rows, port_uses
from slipway.drivers.network.embedded.ports.port_attributes import PORT, says_something
from slipway.drivers.network.embedded.security import port_security
from slipway.drivers.network.embedded.security.groups import SecurityGroups
from slipway.drivers.network.embedded.topology import binding
from slipway.drivers.network.embedded.topology.binding import UNBOUND, Mechanisms
from slipway.drivers.network.embedded.topology.mechanisms import PortChange
from slipway.model.network import Context, Port
from slipway.model.neutron import ADMIN, DHCP_OWNER
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

KEYS = uuid.UUID("5b0b3a0c-6f0f-5d0a-9d1b-2f3c7a9e4d11")
"""The namespace of the ids of ports that were made with a key."""

_INSERT = insert_if_absent(ports)
_BIND = ports.update().where(ports.c.id == sa.bindparam("port")).values(binding_vif_type=sa.bindparam("vif_type"))
_network_up = (
    sa.select(networks.c.admin_state_up).where(networks.c.id == ports.c.network_id).correlate(ports).scalar_subquery()
)
_plugged = sa.and_(*(ports.c.binding_vif_type != kind for kind in binding.UNPLUGGED))
_SET_WIRED = (
    ports.update()
    .where(ports.c.device_id == sa.bindparam("device"))
    .values(
        status=sa.case(
            (
                sa.and_(
                    sa.bindparam("up", type_=sa.Boolean),
                    ports.c.admin_state_up,
                    _network_up,
                    sa.or_(ports.c.device_owner == DHCP_OWNER, _plugged),
                ),
                "ACTIVE",
            ),
            else_="DOWN",
        )
    )
)
_DELETE = ports.delete().where(ports.c.id == sa.bindparam("port"))
_LISTING = Listing(
    port_rows.SELECT,
    ports,
    {
        "ip_address": Relation(allocations.c.port_id, allocations.c.address, checks.address),
        "subnet_id": Relation(allocations.c.port_id, allocations.c.subnet_id),
        "security_group": Relation(port_security_groups.c.port_id, port_security_groups.c.security_group_id),
    },
    reads={"mac_address": as_spelled},
)


def _has_part(port: Port, parts: Sequence[str]) -> bool:
    """Whether one of these is a part of an address of the port, as it is written."""
    return any(part.lower() in address.ip_address for address in port.fixed_ips for part in parts)


def id_of(key: str) -> str:
    """The id of the port with this key."""
    return str(uuid.uuid5(KEYS, key))


class Ports:
    """The ports in the database."""

    def __init__(self, services: Services, groups: SecurityGroups, mechanisms: Mechanisms) -> None:
        self._services = services
        self._groups = groups
        self._mechanisms = mechanisms

    def find(self, tx: Transaction, context: Context, port_id: str) -> sa.Row[Any] | None:
        """The row of one port, or None when it is not there, or not to be seen by the project."""
        return tx.execute(port_rows.SHOW, {"id": port_id} | viewer(context)).first()

    def row(self, tx: Transaction, context: Context, port_id: str, *, lock: bool = False) -> sa.Row[Any]:
        """The row of one port, locked against other writers if wanted. Raises `PortNotFound`."""
        return self._find_one(tx, context, port_id, port_rows.SHOW_LOCKED if lock else port_rows.SHOW)

    def _find_one(self, tx: Transaction, context: Context, port_id: str, statement: sa.Select[Any]) -> sa.Row[Any]:
        row = tx.execute(statement, one(context, port_id)).first()
        if row is None:
            raise errors.PortNotFound(f"port {port_id}: not found")
        return row

    def list(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[Port]:
        """The ports that the project may see and that match all filters; `ip_address`, `ip_address_substr`,
        `subnet_id` and `security_group` are those of any of the port's.
        """
        parts = filters.get("ip_address_substr")
        if parts is None:
            return tuple(map(port_rows.from_row, _LISTING.rows(tx, context, filters, page)))
        texts = [
            checks.text()(part, "ip_address_substr")
            for part in (parts if isinstance(parts, (list, tuple)) else [parts])
        ]
        others = {name: value for name, value in filters.items() if name != "ip_address_substr"}
        # Addresses are no texts in the database, so all that comes after the marker is looked at.
        rows = _LISTING.rows(tx, context, others, Page(page.sort_key, None, page.marker, page.sort_dir))
        found = (port for port in map(port_rows.from_row, rows) if _has_part(port, texts))
        return tuple(islice(found, page.limit))

    def create(
        self, tx: Transaction, context: Context, port_id: str | None, values: dict[str, Any]
    ) -> tuple[Port, bool]:
        """Make a port of values that `PORT` has checked, or give the one with this `port_id` that is there already.

        Says also whether it is new.

        Raises `PolicyNotAuthorized`, `OverQuota`, `NetworkNotFound`, `MacAddressInUse`,
        `MacAddressGenerationFailure`, what `fixedips` and `portsecurity` raise, `MechanismDriverError`.
        """
        self._services.check_dns_name(values)
        project = values["project_id"]
        values["id"] = port_id or self._services.new_id()
        site = self._site(tx, context, values)
        if site and site[0].existing:
            return port_rows.from_row(self.row(tx, context, values["id"])), False
        self._services.quotas.reserve(tx, project, "port")
        if not site:
            if context.is_admin:  # Neutron: the project's default group comes before the network, and has a quota.
                self._groups.default(tx, project)
            raise errors.NetworkNotFound(f"network {values['network_id']}: not found")
        policy.check_network(context, project, site[0].network_project, shared=site[0].shared)
        policy.check_port(context, PORT, values, site[0], create=True)
        values["binding_host_id"] = values["binding_host_id"] or ""
        values["binding_profile"] = values["binding_profile"] or {}
        port_uses.check_router(tx, context, values["device_owner"], values["device_id"], project)
        return self._make(tx, context, values, site), True

    def create_unasked(self, tx: Transaction, given: Mapping[str, Any], status: str) -> Port:
        """Make a port that the network needs for itself: nobody asks for it, so no quota stops it."""
        values = PORT.for_create(ADMIN, given)
        values |= {"id": self._services.new_id(), "binding_host_id": "", "binding_profile": {}, "status": status}
        self._services.quotas.count(tx, values["project_id"], "port")
        return self._make(tx, ADMIN, values, self._site(tx, ADMIN, values))

    def set_wired(self, tx: Transaction, device_id: str, *, up: bool, told: bool) -> Sequence[Port]:
        """Set the status of a device's ports; where it is to be `told`, gives those whose status that changed."""
        before = self._of_device(tx, device_id) if told else ()
        tx.execute(_SET_WIRED, {"device": device_id, "up": up})
        after = self._of_device(tx, device_id) if told else ()
        return [port for port in after if port not in before]

    def _of_device(self, tx: Transaction, device_id: str) -> Sequence[Port]:
        return self.list(tx, ADMIN, {"device_id": device_id}, Page("created_at"))

    def _site(self, tx: Transaction, context: Context, values: Mapping[str, Any]) -> Sequence[sa.Row[Any]]:
        parameters = {"network": values["network_id"], "port": values["id"], "project": values["project_id"]}
        return tx.execute(port_rows.SITE, parameters | viewer(context)).all()

    def _make(self, tx: Transaction, context: Context, values: dict[str, Any], site: Sequence[sa.Row[Any]]) -> Port:
        network, owner = site[0], values["device_owner"]
        values["port_security_enabled"] = port_security.is_enabled(
            owner, values["port_security_enabled"], network.network_port_security
        )
        values["extra_dhcp_opts"] = [option for option in values["extra_dhcp_opts"] if says_something(option)]
        values = {"status": "DOWN"} | values | {"binding_vif_type": UNBOUND, "created_at": self._services.clock()}
        self._insert(tx, values)
        holder = Holder(values["id"], values["network_id"], owner, values["mac_address"])
        taken = self._allocate(tx, holder, site, values["fixed_ips"])
        port_security.check_new(values)
        groups = self._choose_groups(tx, context, values, network.default_group)
        port_security.set_groups(tx, values["id"], groups, new=True)
        binding.check_profile(values["binding_profile"])
        port = port_rows.build(values, taken, groups)
        if port.binding_host_id:
            vif_type = self._mechanisms.bind(tx, port, network)
            tx.execute(_BIND, {"port": port.id, "vif_type": vif_type})
            port = replace(port, binding_vif_type=vif_type)
        self._mechanisms.precommit(tx, PortChange("create", port))
        return port

    def _insert(self, tx: Transaction, values: dict[str, Any]) -> None:
        """Insert the row with the MAC that was asked for, or with one that is drawn until it is free (S4)."""
        wanted, pairs = values["mac_address"], values["allowed_address_pairs"]
        for _ in range(1 if wanted else max(1, self._services.settings.mac_generation_retries)):
            values["mac_address"] = wanted or self._services.macs.draw()
            values["allowed_address_pairs"] = port_security.with_own_mac(pairs, values["mac_address"])
            if tx.execute(_INSERT, values).rowcount:
                return
        if wanted:
            raise errors.MacAddressInUse(f"network {values['network_id']}: MAC address {wanted} is in use")
        raise errors.MacAddressGenerationFailure(
            f"network {values['network_id']}: no free MAC address was found below "
            f"{self._services.settings.base_mac} in {self._services.settings.mac_generation_retries} tries"
        )

    def _allocate(
        self, tx: Transaction, holder: Holder, site: Sequence[sa.Row[Any]], wanted: Sequence[Wanted] | None
    ) -> Sequence[Taken]:
        """Take the addresses of a new port (A1, A2)."""
        fixed_ips.check_number(wanted, holder, self._services.settings.max_fixed_ips_per_port)
        subnets = fixed_ips.candidates(port_rows.with_subnets(site), holder.network_id, holder.device_owner)
        picks = fixed_ips.automatic(subnets) if wanted is None else fixed_ips.asked_for(tx, holder, subnets, wanted)
        return fixed_ips.take(tx, holder, picks + fixed_ips.from_mac(holder, subnets))

    def _choose_groups(
        self, tx: Transaction, context: Context, values: Mapping[str, Any], default: str | None
    ) -> tuple[str, ...]:
        groups: tuple[str, ...] | None = values["security_groups"]
        if is_trusted(values["device_owner"]) or not values["port_security_enabled"]:
            return ()
        if groups is None:
            return (default or self._groups.default(tx, values["project_id"]),)
        port_security.check_groups(tx, context, values["project_id"], groups)
        return groups

    def delete(self, tx: Transaction, context: Context, port_id: str, *, asked: bool = False) -> Port:
        """Delete a port and give its addresses back; gives the port as it was.

        Raises `PortNotFound`, `FipInUseByPortForwarding`, `FipAssociated`; `ServicePortInUse` for one of a router's or
        floating IP's that was `asked` for as a port.
        """
        row = self._find_one(tx, context, port_id, port_uses.TO_DELETE)
        port = port_rows.from_row(row)
        if asked:
            port_uses.check_deletable(tx, row)
        self._mechanisms.precommit(tx, PortChange("delete", port, port))
        port_uses.let_go(tx, context, self._services.quotas, row)
        # The counter before the addresses, as in `create`: two transactions must not wait for each other.
        self._services.quotas.release(tx, port.project_id, "port")
        fixed_ips.give_back(tx, port_rows.taken(row))
        port_security.set_groups(tx, port_id, ())
        tx.execute(_DELETE, {"port": port_id})
        return port
