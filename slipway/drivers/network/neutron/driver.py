"""The network driver for a real Neutron."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import quote

from slipway import errors
from slipway.drivers.network.neutron import conversion
from slipway.drivers.network.neutron.paths import path as _path
from slipway.drivers.network.neutron.routing import Routing
from slipway.drivers.network.neutron.service import Service
from slipway.model.network import Context, Network, Port, PortBinding, SecurityGroup, SecurityGroupRule, Subnet
from slipway.settings import Settings
from slipway.states.store import Store, Transaction

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"

BINDINGS = "binding-extended"
"""The extension by which a port has more than one binding."""

DNS = "dns-integration"
"""The extension with the ports' DNS names."""

_KEYS = uuid.UUID("b3b1a9c4-6a39-4c6f-9b4e-0f9b6c8f2d11")


class NeutronNetwork(Routing):
    """Networks, ports and security groups of a Neutron; nothing of it is in our database, so every `tx` is ignored.

    The installation's id and a port's key are in its description, which Neutron takes in the request that makes it and
    finds in one query (tags cannot be given then). No attribute is unique that a user may set: two that make a port
    with one key at once can make two. Whoever looks next, which either of them does before it goes on, keeps the
    oldest and deletes the rest.
    """

    local: ClassVar[bool] = False
    brings_dhcp: ClassVar[bool] = True

    def __init__(self, store: Store, settings: Settings, *, on_event: Callable[[Any], None] | None = None) -> None:
        """`on_event` is told nothing: what happens in Neutron, Neutron tells. Raises `InvalidInput`."""
        self._service = Service(settings.cloud, settings.endpoint)
        self._tag = f"slipway:{store.installation}:"

    # --- networks and subnets -------------------------------------------------------------------------------------

    def list_networks(
        self, context: Context, *, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[Network]:
        """The networks that the project may use, its own and shared ones, ordered by name."""
        found = self._list(context, "networks", conversion.network, name=name)
        return sorted(found, key=lambda network: network.name)

    def show_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> Network:
        """One network by id. Raises `NetworkNotFound`."""
        path = _path("networks", network_id, errors.NetworkNotFound)
        return self._one(context, "GET", path, "network", conversion.network, absent=errors.NetworkNotFound)

    def create_network(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Network:
        """Make a network."""
        return self._create(context, "networks", "network", conversion.network, attributes)

    def update_network(
        self, context: Context, network_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Network:
        """Change what is named. Raises `NetworkNotFound`, and what Neutron refuses."""
        path, body = _path("networks", network_id, errors.NetworkNotFound), conversion.request(attributes)
        return self._one(context, "PUT", path, "network", conversion.network, body, absent=errors.NetworkNotFound)

    def delete_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a network that no port is on. Raises `NetworkNotFound`, `NetworkInUse`."""
        self._delete(context, "networks", network_id, errors.NetworkNotFound)

    def list_subnets(
        self, context: Context, *, network_id: str | None = None, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[Subnet]:
        """Subnets, of one network if wanted, in the order in which they were made, to the second."""
        query = {"network_id": network_id, "name": name}
        found = self._service.all(context, "subnets", query)
        found.sort(key=lambda subnet: str(subnet.get("created_at", "")))
        return [conversion.subnet(self._service.seen_by(context, each)) for each in found]

    def create_subnet(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Subnet:
        """Make a subnet."""
        return self._create(context, "subnets", "subnet", conversion.subnet, attributes)

    def update_subnet(
        self, context: Context, subnet_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Subnet:
        """Change what is named; addresses that ports have stay. Raises `SubnetNotFound`, and what Neutron refuses."""
        path, body = _path("subnets", subnet_id, errors.SubnetNotFound), conversion.request(attributes)
        return self._one(context, "PUT", path, "subnet", conversion.subnet, body, absent=errors.SubnetNotFound)

    def delete_subnet(self, context: Context, subnet_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a subnet that no port has an address of. Raises `SubnetNotFound`, `SubnetInUse`."""
        self._delete(context, "subnets", subnet_id, errors.SubnetNotFound)

    # --- ports ----------------------------------------------------------------------------------------------------

    def list_ports(
        self,
        context: Context,
        *,
        device_id: str | None = None,
        network_id: str | None = None,
        name: str | None = None,
        ip_address: str | None = None,
        sort_key: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
        tx: Transaction | None = None,
    ) -> Sequence[Port]:
        """Ports that match all that is given; Neutron's own, such as those of its DHCP agents, among them."""
        query = {"device_id": device_id, "network_id": network_id, "name": name}
        if ip_address is not None:
            query["fixed_ips"] = f"ip_address={ipaddress.ip_address(ip_address)}"
        # Neutron wants a direction for each key.
        page = {"sort_key": sort_key, "sort_dir": sort_key and "asc", "limit": limit, "marker": marker}
        return self._list(context, "ports", conversion.port, **query, **page)

    def show_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Port:
        """One port by id. Raises `PortNotFound`."""
        path = _path("ports", port_id, errors.PortNotFound)
        return self._one(context, "GET", path, "port", conversion.port, absent=errors.PortNotFound)

    def find_port(self, context: Context, key: str, *, tx: Transaction | None = None) -> Port | None:
        """The port that `create_port` made with this key, None when it is certain that there is none."""
        found = self._service.all(context, "ports", {"description": self._description(key)})
        if not found:
            return None
        oldest, *rest = sorted(found, key=lambda port: (str(port.get("created_at", "")), str(port["id"])))
        for port in rest:
            self._delete_if_there(context, port["id"])
        return conversion.port(self._service.seen_by(context, oldest))

    def create_port(
        self,
        context: Context,
        *,
        key: str | None = None,
        tx: Transaction | None = None,
        **attributes: Any,
    ) -> Port:
        """Make a port. With a `key` it is safe to repeat: the second call gives the port of the first.

        Such a port goes without its `dns_name` where this Neutron has none (Nova: `_has_dns_extension`).
        """
        if key is None:
            return self._create(context, "ports", "port", conversion.port, attributes)
        found = self.find_port(context, key)
        if found is not None:
            return found
        if not (attributes.get("dns_name") and self._service.has_extension(context, DNS)):
            attributes.pop("dns_name", None)
        self._create(context, "ports", "port", conversion.port, {**attributes, "description": self._description(key)})
        made = self.find_port(context, key)
        if made is None:
            raise errors.TransientNetworkError(f"the port that was made with key {key} is not there any more")
        return made

    def update_port(
        self,
        context: Context,
        port_id: str,
        *,
        unchanged: Port | None = None,
        tx: Transaction | None = None,
        **attributes: Any,
    ) -> Port:
        """Change what is named, `binding_host_id` among it (binds, "" unbinds); a failed binding is no error.

        `unchanged`: only if the port is still as it was then (Neutron: revisions). Raises
        `RevisionNumberConstraintFailed` where it is not, and nothing where this Neutron counts no revisions.
        """
        path, body = _path("ports", port_id, errors.PortNotFound), conversion.request(attributes)
        revision = None if unchanged is None else unchanged.revision_number
        return self._one(
            context, "PUT", path, "port", conversion.port, body, absent=errors.PortNotFound, revision=revision
        )

    def delete_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a port and give its addresses back. Raises `PortNotFound`."""
        self._delete(context, "ports", port_id, errors.PortNotFound)

    # --- further bindings of a port, which only administrators see -------------------------------------------------

    def binds_twice(self, context: Context) -> bool:
        """Whether it has the extension, as each Neutron since Rocky with the ML2 plug-in."""
        return self._service.has_extension(context, BINDINGS)

    def list_bindings(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Sequence[PortBinding]:
        """The port's bindings, the ACTIVE one first. Raises `PortNotFound`."""
        path = _path("ports", port_id, errors.PortNotFound)
        answer = self._service.request(context, "GET", f"{path}/bindings", absent=errors.PortNotFound)
        found = map(conversion.binding, answer.get("bindings") or ())
        return sorted((one for one in found if one.host), key=lambda one: (one.status != ACTIVE, one.host))

    def further_bindings(self, context: Context, hosts: Sequence[str]) -> Sequence[tuple[Port, str]]:
        """By a question for each host: Neutron finds a port by any of its bindings, and shows the one that counts."""
        return [
            (port, host)
            for host in hosts
            for port in self._list(context, "ports", conversion.port, **{"binding:host_id": host})
            if port.binding_host_id != host
        ]

    def create_binding(
        self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None
    ) -> PortBinding:
        """Bind a port to one more host, INACTIVE, or give the binding that there is. Raises `PortNotFound`."""
        path = _path("ports", port_id, errors.PortNotFound)
        # Of a port that is not there Neutron says that something went wrong within it (status 500).
        port = self.show_port(context, port_id)
        wanted = {"host": host, "vnic_type": port.binding_vnic_type, "profile": json.loads(port.binding_profile)}
        try:
            answer = self._service.one(
                context, "POST", f"{path}/bindings", "binding", wanted, absent=errors.PortNotFound
            )
        except errors.PortBindingError:
            return PortBinding(host, INACTIVE, "binding_failed")
        except errors.PortBindingAlreadyExists:
            return next(one for one in self.list_bindings(context, port_id) if one.host == host)
        return conversion.binding(answer)

    def activate_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Have the binding to this host be the one that counts. Raises `PortNotFound`, `PortBindingNotFound`."""
        path = f"{_path('ports', port_id, errors.PortNotFound)}/bindings/{quote(host, safe='')}/activate"
        with suppress(errors.PortBindingAlreadyActive):
            self._service.request(context, "PUT", path, absent=errors.PortBindingNotFound)

    def delete_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Take an INACTIVE binding away. Absent: nothing happens; an ACTIVE one stays."""
        path = _path("ports", port_id, errors.PortNotFound)
        try:
            found = [one for one in self.list_bindings(context, port_id) if (one.host, one.status) == (host, INACTIVE)]
            if found:
                where = f"{path}/bindings/{quote(host, safe='')}"
                self._service.request(context, "DELETE", where, absent=errors.PortBindingNotFound)
        except (errors.PortNotFound, errors.PortBindingNotFound, errors.BadRequest):
            # Refused is the question where the port is no instance's any more: it has one binding at most.
            return

    def set_wired(self, device_id: str, *, up: bool, tx: Transaction | None = None) -> None:
        """Do nothing: Neutron hears it from its own agents, and from nobody else."""

    def is_ours(self, port: Port) -> bool:
        """Whether this installation made the port: not another one's, nor one brought along, nor anybody else's."""
        return port.description.startswith(self._tag)

    def _description(self, key: str) -> str:
        """What the port of this key bears: short enough for any key, and nobody else's."""
        return f"{self._tag}{uuid.uuid5(_KEYS, key)}"

    def _delete_if_there(self, context: Context, port_id: str) -> None:
        try:
            self.delete_port(context, port_id)
        except errors.PortNotFound:
            return

    # --- security groups ------------------------------------------------------------------------------------------

    def list_security_groups(
        self, context: Context, *, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[SecurityGroup]:
        """The project's security groups, `default` among them."""
        project = None if context.is_admin and not context.project_id else self._service.project_of(context)
        found = self._list(context, "security-groups", conversion.security_group, name=name, project_id=project)
        return sorted(found, key=lambda group: group.name)

    def create_security_group(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroup:
        """Make a security group, with the rules that let everything out."""
        return self._create(context, "security-groups", "security_group", conversion.security_group, attributes)

    def create_security_group_rule(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroupRule:
        """Add a rule to a security group."""
        return self._create(context, "security-group-rules", "security_group_rule", conversion.rule, attributes)

    def delete_security_group_rule(self, context: Context, rule_id: str, *, tx: Transaction | None = None) -> None:
        """Take a rule away. Raises `SecurityGroupRuleNotFound`."""
        self._delete(context, "security-group-rules", rule_id, errors.SecurityGroupRuleNotFound)

    def delete_security_group(self, context: Context, group_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a security group that no port uses. Raises `SecurityGroupNotFound`, `SecurityGroupInUse`."""
        self._delete(context, "security-groups", group_id, errors.SecurityGroupNotFound)
