"""The embedded network: Neutron's rules over rows of our own database."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar

from slipway import errors
from slipway.drivers.network.embedded.common.listing import Page
from slipway.drivers.network.embedded.common.macs import MacGenerator
from slipway.drivers.network.embedded.common.quotas import Quotas
from slipway.drivers.network.embedded.common.services import Services
from slipway.drivers.network.embedded.common.transactions import NetworkEvent, Transactions
from slipway.drivers.network.embedded.groups_and_quotas import GroupsAndQuotas
from slipway.drivers.network.embedded.ports import port_rows
from slipway.drivers.network.embedded.ports.port_attributes import PORT
from slipway.drivers.network.embedded.ports.port_bindings import PortBindings
from slipway.drivers.network.embedded.ports.port_changes import PortChanges
from slipway.drivers.network.embedded.ports.ports import Ports, id_of
from slipway.drivers.network.embedded.removal import Removal
from slipway.drivers.network.embedded.routing_calls import Routing
from slipway.drivers.network.embedded.security.group_rules import SecurityGroupRules
from slipway.drivers.network.embedded.security.groups import SecurityGroups
from slipway.drivers.network.embedded.topology.binding import Mechanisms
from slipway.drivers.network.embedded.topology.mechanisms import LinuxBridge, MechanismDriver, PortChange
from slipway.drivers.network.embedded.topology.networks import Networks
from slipway.drivers.network.embedded.topology.subnets import Subnets
from slipway.model.network import Context, Network, Port, PortBinding, Subnet
from slipway.model.neutron import ADMIN
from slipway.settings import Settings
from slipway.states.store import Store, Transaction

_log = logging.getLogger(__name__)


class EmbeddedNetwork(GroupsAndQuotas, Routing):
    """Networks, subnets, ports and security groups as rows, with Neutron's behaviour and names.

    Every call takes the caller's open transaction, in which it does all or nothing and which it never commits, or
    opens one of its own. `mechanisms` take part in each change of a port and bind ports; `on_event` is told of what
    happened after the commit. Raises the `NetworkError` of Neutron's name, and `StoreError`.
    """

    local: ClassVar[bool] = True
    brings_dhcp: ClassVar[bool] = False

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        rng: random.Random | None = None,
        clock: Callable[[], datetime] | None = None,
        mechanisms: Sequence[MechanismDriver] | None = None,
        on_event: Callable[[NetworkEvent], None] | None = None,
    ) -> None:
        rng = rng or random.SystemRandom()
        clock = clock or (lambda: datetime.now(UTC))
        self._transactions = Transactions(store, clock, on_event)
        self._quotas = Quotas(settings)
        self._mechanisms = Mechanisms((LinuxBridge(settings),) if mechanisms is None else mechanisms)
        services = Services(settings, rng, clock, MacGenerator(settings.base_mac, rng), self._quotas)
        self._services = services
        self._rules = SecurityGroupRules(services)
        self._groups = SecurityGroups(services, self._rules)
        self._networks = Networks(services, self._groups)
        self._subnets = Subnets(services, self._networks)
        self._ports = Ports(services, self._groups, self._mechanisms)
        self._changes = PortChanges(services, self._ports, self._mechanisms)
        self._bindings = PortBindings(self._ports, self._mechanisms)
        self._removal = Removal(self._networks, self._subnets, self._ports, lambda: self._floating_ips)

    # --- networks and subnets -----------------------------------------------------------------------------------

    def create_network(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Network:
        """Make a network. Raises `HTTPBadRequest`, `InvalidInput`, `OverQuota`, `VlanIdInUse` and the like."""
        with self._transactions.writing(tx) as own:
            network = self._networks.create(own, context, attributes)
            self._transactions.tell(own, "network.create", network)
        return network

    def update_network(
        self, context: Context, network_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Network:
        """Change what is named. Raises `NetworkNotFound`, `PolicyNotAuthorized`, `InvalidSharedSetting`."""
        with self._transactions.writing(tx) as own:
            network = self._networks.update(own, context, network_id, attributes)
            self._transactions.tell(own, "network.update", network)
        return network

    def delete_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a network, its subnets and DHCP ports. Raises `NetworkNotFound`, `NetworkInUse`."""
        with self._transactions.writing(tx) as own:
            network, gone = self._removal.delete_network(own, context, network_id)
            for port in gone:
                self._after(own, PortChange("delete", port, port))
            self._transactions.tell(own, "network.delete", network)

    def show_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> Network:
        """One network by id. Raises `NetworkNotFound`."""
        with self._transactions.reading(tx, once=True) as own:
            return self._networks.show(own, context, network_id)

    def list_networks(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Network]:
        """The networks that the project may use, its own and shared ones, ordered by name.

        All lists take attributes as filters (a value, or several in a list), and Neutron's `limit`, `marker`,
        `sort_key` and `sort_dir`. Raises `HTTPBadRequest` for others, `NotFound` for an unknown marker.
        """
        page = Page.taken_from(filters, "name")
        with self._transactions.reading(tx, once=page.marker is None) as own:
            return self._networks.list(own, context, filters, page)

    def create_subnet(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Subnet:
        """Make a subnet with its pools; ports that are there get an address of a SLAAC one, as in Neutron.

        Raises what Neutron raises: `InvalidInput`, `GatewayConflictWithAllocationPools`, `OverQuota` and so on.
        """
        with self._transactions.writing(tx) as own:
            subnet = self._subnets.create(own, context, attributes)
            self._removal.add_auto_addresses(own, subnet)
            if self._networks.show(own, ADMIN, subnet.network_id).router_external:
                self._gateways.extend(own, subnet)
            self._transactions.tell(own, "subnet.create", subnet)
        return subnet

    def update_subnet(
        self, context: Context, subnet_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Subnet:
        """Change what is named. Raises as `create_subnet`, and `SubnetNotFound`."""
        with self._transactions.writing(tx) as own:
            subnet = self._subnets.update(own, context, subnet_id, attributes)
            self._transactions.tell(own, "subnet.update", subnet)
        return subnet

    def delete_subnet(self, context: Context, subnet_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a subnet. Raises `SubnetNotFound`, and `SubnetInUse` while ports have addresses of it."""
        with self._transactions.writing(tx) as own:
            subnet = self._removal.delete_subnet(own, context, subnet_id)
            self._transactions.tell(own, "subnet.delete", subnet)

    def show_subnet(self, context: Context, subnet_id: str, *, tx: Transaction | None = None) -> Subnet:
        """One subnet by id. Raises `SubnetNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._subnets.show(own, context, subnet_id)

    def list_subnets(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Subnet]:
        """Subnets, of one network if wanted, in the order in which they were made."""
        page = Page.taken_from(filters, "position" if filters.get("network_id") else "created_at")
        with self._transactions.reading(tx, once=page.marker is None) as own:
            return self._subnets.list(own, context, filters, page)

    # --- ports --------------------------------------------------------------------------------------------------

    def create_port(
        self, context: Context, *, key: str | None = None, tx: Transaction | None = None, **attributes: Any
    ) -> Port:
        """Make a port. With a `key` it is safe to repeat: the second call gives the port of the first.

        Attributes are Neutron's, with `_` for `:`; None for `fixed_ips`, `security_groups`, `mac_address` and the
        like means "not given". Raises what Neutron raises.
        """
        with self._transactions.writing(tx, alone=False) as own:
            return self._create_port(own, context, key, PORT.for_create(context, attributes))

    def create_ports(
        self, context: Context, requests: Sequence[Mapping[str, Any]], *, tx: Transaction | None = None
    ) -> tuple[Port, ...]:
        """Make all these ports or none (Neutron: a bulk request). Raises as `create_port`, and for no request."""
        if not requests:
            raise errors.HTTPBadRequest("ports: at least one must be asked for")
        with self._transactions.writing(tx, alone=False) as own:
            checked = [PORT.for_create(context, request) for request in requests]
            return tuple(self._create_port(own, context, None, values) for values in checked)

    def _create_port(self, tx: Transaction, context: Context, key: str | None, values: dict[str, Any]) -> Port:
        port, is_new = self._ports.create(tx, context, None if key is None else id_of(key), values)
        if is_new:
            self._after(tx, PortChange("create", port))
        return port

    def update_port(
        self,
        context: Context,
        port_id: str,
        *,
        unchanged: Port | None = None,
        tx: Transaction | None = None,
        **attributes: Any,
    ) -> Port:
        """Change what is named, `binding_host_id` among it (binds, "" unbinds).

        A binding that fails leaves `binding_vif_type` "binding_failed" in the answer, as Neutron does, and no error.
        `unchanged`: only if the port is still as it was then. Raises `RevisionNumberConstraintFailed` where it is not.
        """
        with self._transactions.writing(tx, alone=False) as own:
            change = self._changes.update(own, context, port_id, attributes, unchanged)
            self._after(own, change)
        return change.port

    def delete_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a port and give its addresses back. Raises `PortNotFound`, `ServicePortInUse`, `FipAssociated`."""
        with self._transactions.writing(tx, alone=False) as own:
            port = self._ports.delete(own, context, port_id, asked=True)
            self._after(own, PortChange("delete", port, port))

    def binds_twice(self, context: Context) -> bool:
        """Always."""
        return True

    def list_bindings(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Sequence[PortBinding]:
        """The port's bindings, the ACTIVE one first. Raises `PortNotFound`."""
        with self._transactions.reading(tx) as own:
            return self._bindings.list(own, context, port_id)

    def further_bindings(self, context: Context, hosts: Sequence[str]) -> Sequence[tuple[Port, str]]:
        """By one question, whatever hosts there are. Raises `PolicyNotAuthorized`."""
        with self._transactions.reading(None) as own:
            return self._bindings.further(own, context, hosts)

    def create_binding(
        self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None
    ) -> PortBinding:
        """Bind a port to one more host, INACTIVE. Raises `PortNotFound`, `PolicyNotAuthorized`, `BadRequest`."""
        with self._transactions.writing(tx) as own:
            return self._bindings.create(own, context, port_id, host)

    def activate_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Have the binding to this host be the one that counts. Raises `PortNotFound`, `PortBindingNotFound`."""
        with self._transactions.writing(tx) as own:
            change = self._bindings.activate(own, context, port_id, host)
            if change is not None:
                self._after(own, change)

    def delete_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Take an INACTIVE binding away. Absent: nothing happens. Raises `PolicyNotAuthorized`."""
        with self._transactions.writing(tx) as own:
            self._bindings.delete(own, context, port_id, host)

    def set_wired(self, device_id: str, *, up: bool, tx: Transaction | None = None) -> None:
        """Say of a device's ports that packets pass by now (status ACTIVE), or no longer (DOWN).

        One that is not bound, or administratively down as its network may be, is DOWN.
        """
        # A single statement needs no savepoint.
        with self._transactions.writing(None, alone=False) if tx is None else nullcontext(tx) as own:
            for port in self._ports.set_wired(own, device_id, up=up, told=self._transactions.are_heard):
                self._transactions.tell(own, "port.update", port)

    def show_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Port:
        """One port by id. Raises `PortNotFound`."""
        with self._transactions.reading(tx) as own:
            return port_rows.from_row(self._ports.row(own, context, port_id))

    def find_port(self, context: Context, key: str, *, tx: Transaction | None = None) -> Port | None:
        """The port that `create_port` made with this key, None when it is certain that there is none."""
        with self._transactions.reading(tx) as own:
            row = self._ports.find(own, context, id_of(key))
        return None if row is None else port_rows.from_row(row)

    def is_ours(self, port: Port) -> bool:
        """Always: it is a row of our own database."""
        return True

    def list_ports(self, context: Context, *, tx: Transaction | None = None, **filters: Any) -> Sequence[Port]:
        """Ports that match all that is given; `ip_address`, `subnet_id` and `security_group` are any of the port's."""
        page = Page.taken_from(filters, "created_at")
        with self._transactions.reading(tx) as own:
            return self._ports.list(own, context, filters, page)

    def _after(self, tx: Transaction, change: PortChange) -> None:
        self._transactions.tell(tx, f"port.{change.kind}", change.port)
        self._transactions.after(tx, lambda: self._postcommit(change))

    def _postcommit(self, change: PortChange) -> None:
        """Tell the mechanism drivers; a new port that one of them cannot deal with is deleted again (S2)."""
        try:
            self._mechanisms.postcommit(change)
        except errors.MechanismDriverError:
            if change.kind != "create":
                _log.warning("the change of port %s stays as it is", change.port.id, exc_info=True)
                return
            self.delete_port(ADMIN, change.port.id)
            raise
