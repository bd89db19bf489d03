"""What a network driver must do for a build. Arguments are named as Neutron's API attributes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from slipway.model.network import Context, Network, Port, PortBinding, SecurityGroup, SecurityGroupRule, Subnet
from slipway.states.store import Transaction


class NetworkDriver(Protocol):
    """A network service. A local one (`local` true) keeps rows in our own database and takes the open transaction.

    `tx`: the transaction to work in; None: a local driver opens one of its own, a foreign one ignores it always.
    Raises the `NetworkError` of Neutron's name; what may pass is a `TransientNetworkError`. A look-up that fails
    raises, and is never taken for "absent".
    """

    local: ClassVar[bool]
    brings_dhcp: ClassVar[bool]
    """Whether the service has DHCP servers of its own, as Neutron's agents are; else the host's wiring runs one."""

    def list_networks(
        self, context: Context, *, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[Network]:
        """The networks that the project may use, its own and shared ones, ordered by name."""

    def show_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> Network:
        """One network by id. Raises `NetworkNotFound`."""

    def list_subnets(
        self, context: Context, *, network_id: str | None = None, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[Subnet]:
        """Subnets, of one network if wanted, in the order in which they were made."""

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
        """Ports that match all that is given; with `ip_address` those that hold that address.

        `limit` asks for a page: at most so many, after the port with the id `marker`.
        """

    def set_wired(self, device_id: str, *, up: bool, tx: Transaction | None = None) -> None:
        """Say of a device's ports that packets pass by now (status ACTIVE), or no longer (DOWN).

        One that is not bound, or administratively down as its network may be, is DOWN. A service whose own agents
        say so does nothing.
        """

    def show_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Port:
        """One port by id. Raises `PortNotFound`."""

    def find_port(self, context: Context, key: str, *, tx: Transaction | None = None) -> Port | None:
        """The port that `create_port` made with this key, None when it is certain that there is none."""

    def is_ours(self, port: Port) -> bool:
        """Whether the port bears this installation's tag, as each does that `create_port` made with a key.

        In a service that others use as well what does not is none of our business; all is ours in one of our own.
        """

    def list_security_groups(
        self, context: Context, *, name: str | None = None, tx: Transaction | None = None
    ) -> Sequence[SecurityGroup]:
        """The project's security groups, `default` among them."""

    def create_port(
        self,
        context: Context,
        *,
        network_id: str,
        key: str | None = None,
        name: str = "",
        fixed_ips: Sequence[Mapping[str, str]] | None = None,
        mac_address: str | None = None,
        device_id: str = "",
        device_owner: str = "",
        admin_state_up: bool = True,
        security_groups: Sequence[str] | None = None,
        extra_dhcp_opts: Sequence[Mapping[str, Any]] | None = None,
        dns_name: str = "",
        project_id: str | None = None,
        description: str = "",
        tx: Transaction | None = None,
    ) -> Port:
        """Make a port. With a `key` it is safe to repeat: the second call gives the port of the first.

        Such a port goes without its `dns_name` where the service has none.
        """

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

    def delete_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a port and give its addresses back. Raises `PortNotFound`."""

    # --- further bindings of a port, for an instance that goes from host to host while it runs ----------------------

    def binds_twice(self, context: Context) -> bool:
        """Whether a port can be bound to further hosts (Neutron: `binding-extended`); else there is but one binding."""

    def list_bindings(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> Sequence[PortBinding]:
        """The bindings of an instance's port, the ACTIVE one first. Raises `PortNotFound`, `BadRequest` for others."""

    def further_bindings(self, context: Context, hosts: Sequence[str]) -> Sequence[tuple[Port, str]]:
        """The ports that have an INACTIVE binding to one of these hosts, each with that host."""

    def create_binding(
        self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None
    ) -> PortBinding:
        """Bind a port that is an instance's to one more host, INACTIVE; the binding to that host that there is.

        A binding that fails is "binding_failed", and no error. Raises `PortNotFound`.
        """

    def activate_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Have the binding to this host be the one that counts, and the other INACTIVE. It does: nothing happens.

        Raises `PortBindingNotFound`.
        """

    def delete_binding(self, context: Context, port_id: str, host: str, *, tx: Transaction | None = None) -> None:
        """Take an INACTIVE binding away. Absent, or the port is: nothing happens; an ACTIVE one stays."""

    # --- what a run file brings about; attributes as in Neutron's API, what is not given is as Neutron has it ------

    def create_network(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Network:
        """Make a network."""

    def update_network(
        self, context: Context, network_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Network:
        """Change what is named. Raises `NetworkNotFound`, and what the service refuses."""

    def delete_network(self, context: Context, network_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a network that no port is on. Raises `NetworkNotFound`, `NetworkInUse`."""

    def create_subnet(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Subnet:
        """Make a subnet."""

    def update_subnet(
        self, context: Context, subnet_id: str, *, tx: Transaction | None = None, **attributes: Any
    ) -> Subnet:
        """Change what is named; ports keep their addresses. Raises `SubnetNotFound`, and what the service refuses."""

    def delete_subnet(self, context: Context, subnet_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a subnet that no port has an address of. Raises `SubnetNotFound`, `SubnetInUse`."""

    def create_security_group(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroup:
        """Make a security group, with the rules that let everything out."""

    def create_security_group_rule(
        self, context: Context, *, tx: Transaction | None = None, **attributes: Any
    ) -> SecurityGroupRule:
        """Add a rule to a security group."""

    def delete_security_group_rule(self, context: Context, rule_id: str, *, tx: Transaction | None = None) -> None:
        """Take a rule away. Raises `SecurityGroupRuleNotFound`."""

    def delete_security_group(self, context: Context, group_id: str, *, tx: Transaction | None = None) -> None:
        """Delete a security group that no port uses. Raises `SecurityGroupNotFound`, `SecurityGroupInUse`."""
