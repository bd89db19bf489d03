"""Networks: made, changed, deleted, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.addressing import subnet_rules
from slipway.drivers.network.embedded.common import policy
from slipway.drivers.network.embedded.common.listing import Listing, Page, one, usable
from slipway.drivers.network.embedded.common.owners import FLOATING_IP, ROUTER_GATEWAY
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.tables import networks, ports, subnets
from slipway.drivers.network.embedded.security.groups import SecurityGroups
from slipway.drivers.network.embedded.topology import segments
from slipway.drivers.network.embedded.topology.attributes import NETWORK
from slipway.drivers.network.embedded.topology.binding import FAILED, UNBOUND
from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.model.network import Context, Network
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

MTU = 1500
VXLAN_OVERHEAD = 50

_subnet_ids = (
    sa.select(sa.func.aggregate_strings(subnets.c.id, " "))
    .where(subnets.c.network_id == networks.c.id)
    .scalar_subquery()
    .label("subnet_ids")
)
_SELECT = sa.select(networks, _subnet_ids).where(usable(networks.c.project_id))
_SHOW = _SELECT.where(networks.c.id == sa.bindparam("id"))
_LISTING = Listing(_SELECT, networks)
_INSERT = insert_if_absent(networks)
_VERSIONS = sa.select(subnets.c.ip_version).where(subnets.c.network_id == sa.bindparam("id")).distinct()
_USERS = sa.select(ports.c.project_id).where(
    ports.c.network_id == sa.bindparam("id"), ports.c.device_owner.not_like("network:%")
)
_LED_TO = sa.select(ports.c.id).where(
    ports.c.network_id == sa.bindparam("id"), ports.c.device_owner.in_((ROUTER_GATEWAY, FLOATING_IP))
)
_BOUND = sa.select(ports.c.id).where(
    ports.c.network_id == sa.bindparam("id"), ports.c.binding_vif_type.not_in((UNBOUND, FAILED))
)


def _network(row: sa.Row[Any]) -> Network:
    values = dict(row._mapping)
    del values["created_at"]
    return Network(subnets=tuple(sorted((values.pop("subnet_ids") or "").split())), **values)


class Networks:
    """The networks in the database."""

    def __init__(self, services: Services, groups: SecurityGroups) -> None:
        self._services = services
        self._groups = groups

    def create(self, tx: Transaction, context: Context, given: Mapping[str, Any]) -> Network:
        """Make a network, and the project's default security group (Neutron: with its first network).

        Raises what `NETWORK` finds wrong, `OverQuota`, `VlanIdInUse` and the like.
        """
        values = NETWORK.for_create(context, given)
        project = values["project_id"]
        self._services.quotas.reserve(tx, project, "network")
        policy.check_admin_only(context, NETWORK, values, policy.NETWORK_ADMIN, create=True)
        self._groups.default(tx, project)
        segment = segments.requested(values, self._services.settings)
        values |= {"id": self._services.new_id(), "created_at": self._services.clock(), "mtu": _mtu(values)}
        self._insert(tx, values, segment)
        return self.show(tx, context, values["id"])

    def _insert(self, tx: Transaction, values: dict[str, Any], segment: Segment) -> None:
        while True:
            chosen = segments.complete(tx, segment)
            values["provider_physical_network"] = chosen.physical
            values["provider_segmentation_id"] = chosen.id
            if tx.execute(_INSERT, values).rowcount:
                return
            if chosen == segment:
                raise segments.in_use(segment)

    def update(self, tx: Transaction, context: Context, network_id: str, given: Mapping[str, Any]) -> Network:
        """Change a network. Raises `NetworkNotFound` and what `NETWORK` finds wrong."""
        values = NETWORK.for_update(given)
        network = self.show(tx, context, network_id)
        _check_owner(context, network, values)
        policy.check_admin_only(context, NETWORK, values, policy.NETWORK_ADMIN, create=False)
        if segments.is_changed(network, values, self._services.settings):
            self._check_no_bound_ports(tx, network)
        if "mtu" in values:
            largest = _mtu(values | {"provider_network_type": network.provider_network_type})
            # Neutron: with subnets there, a 0 is not the largest one but too small.
            for version in tx.scalars(_VERSIONS, {"id": network.id}):
                subnet_rules.check_mtu(network.name or network.id, values["mtu"], version)
            values["mtu"] = largest
        if values.get("router_external") is False and network.router_external:
            self._check_not_led_to(tx, network)
        if values.get("shared") is False and network.shared:
            self._check_no_other_users(tx, network)
        if values:
            self._change(tx, network, values)
        return self.show(tx, context, network.id)

    def _change(self, tx: Transaction, network: Network, values: Mapping[str, Any]) -> None:
        try:
            tx.execute(networks.update().where(networks.c.id == network.id).values(values))
        except sa.exc.IntegrityError as error:
            number = values.get("provider_segmentation_id")
            raise segments.in_use(Segment("vlan", network.provider_physical_network, number)) from error

    def _check_no_bound_ports(self, tx: Transaction, network: Network) -> None:
        if tx.execute(_BOUND, {"id": network.id}).first() is not None:
            raise errors.InvalidInput(
                "provider_segmentation_id: cannot be changed while ports of the network are bound"
            )

    def _check_not_led_to(self, tx: Transaction, network: Network) -> None:
        if tx.execute(_LED_TO, {"id": network.id}).first() is not None:
            raise errors.ExternalNetworkInUse(
                f"network {network.name or network.id}: has gateways of routers or floating IPs, so it stays external"
            )

    def _check_no_other_users(self, tx: Transaction, network: Network) -> None:
        if any(project != network.project_id for project in tx.scalars(_USERS, {"id": network.id})):
            raise errors.InvalidSharedSetting(
                f"network {network.name or network.id}: other projects have ports on it, so it stays shared"
            )

    def remove(self, tx: Transaction, network: Network) -> None:
        """Delete the row of a network that has no ports and no subnets any more."""
        tx.execute(networks.delete().where(networks.c.id == network.id))
        self._services.quotas.release(tx, network.project_id, "network")

    def show(self, tx: Transaction, context: Context, network_id: str) -> Network:
        """One network by id. Raises `NetworkNotFound` when it is not there, or not to be seen by the project."""
        row = tx.execute(_SHOW, one(context, network_id)).first()
        if row is None:
            raise errors.NetworkNotFound(f"network {network_id}: not found")
        return _network(row)

    def own(self, tx: Transaction, context: Context, network_id: str) -> Network:
        """A network that the project may change: its own one; an administrator any one."""
        network = self.show(tx, context, network_id)
        _check_owner(context, network, {})
        return network

    def list(self, tx: Transaction, context: Context, filters: Mapping[str, Any], page: Page) -> Sequence[Network]:
        """The networks that the project may see and that match all filters."""
        return tuple(map(_network, _LISTING.rows(tx, context, filters, page)))


def _check_owner(context: Context, network: Network, values: Mapping[str, Any]) -> None:
    """Raises `PolicyNotAuthorized` where these changes are not the project's to make.

    `HTTPNotFound` where they would hide the network from it (Neutron: looks at it as it is to be).
    """
    if context.is_admin or network.project_id == context.project_id:
        return
    if not any(values.get(name, getattr(network, name)) for name in ("shared", "router_external")):
        raise errors.HTTPNotFound(f"network {network.id}: not found")
    raise errors.PolicyNotAuthorized(f"network {network.id}: belongs to another project")


def _mtu(values: Mapping[str, Any]) -> int:
    """The MTU to keep: 0 asks for the largest one. Raises `InvalidInput` when it is too big."""
    largest = MTU - (VXLAN_OVERHEAD if values["provider_network_type"] == "vxlan" else 0)
    mtu: int = values["mtu"] or largest
    if mtu > largest:
        raise errors.InvalidInput(f"mtu: {mtu} is too big, the largest is {largest}")
    return mtu
