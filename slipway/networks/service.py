"""The network service as Neutron's API has it, over whatever network driver there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeAlias, TypeVar, Unpack

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context, DhcpOption, Network, Port, Quota, SecurityGroup, SecurityGroupRule, Subnet
from slipway.networks.attributes import (
    NetworkChanges,
    NetworkFilters,
    NewNetwork,
    NewPort,
    NewSecurityGroup,
    NewSecurityGroupRule,
    NewSubnet,
    PortChanges,
    PortFilters,
    QuotaLimits,
    SecurityGroupChanges,
    SecurityGroupFilters,
    SecurityGroupRuleFilters,
    SubnetChanges,
    SubnetFilters,
)
from slipway.networks.nulls import as_given
from slipway.networks.routing import Routing
from slipway.states.store import Transaction

Guard: TypeAlias = Callable[[Context, str, Mapping[str, object] | None], AbstractContextManager[Transaction | None]]
"""Given a port's id and its changes (None: it is to be deleted), what it is done in; raises where that must not be."""

T = TypeVar("T")

_MOST_TRIES = 5
"""How often a call is begun that is in the way of others."""

_OUR_OWN = frozenset({"tx", "key"})
"""Arguments of drivers that are no attributes: for the build, not for whoever calls from outside."""


_MATTERS_TO_HOSTS = frozenset(
    {
        *("update_network", "create_subnet", "update_subnet", "delete_subnet"),
        *("create_security_group_rule", "delete_security_group_rule"),
        *("update_router", "delete_router", "add_router_interface", "remove_router_interface"),
        *("add_extraroutes", "remove_extraroutes", "create_floatingip", "update_floatingip", "delete_floatingip"),
        *("create_port_forwarding", "update_port_forwarding", "delete_port_forwarding"),
    }
)
"""What changes which packets may pass at a port that is plugged, where they go, or what its guest is told by DHCP."""


class Networks(Routing):
    """Networks, subnets, ports, security groups, routers and quotas; names and errors are Neutron's.

    Every call is one transaction and does all or nothing. `context` says on whose behalf it is made, by default an
    administrator of the orchestrator's project. Attributes are checked when a call is made: raises `HTTPBadRequest`
    and `InvalidInput` for what is wrong in itself, `PolicyNotAuthorized` for what the project may not do, `OverQuota`,
    `HTTPNotImplemented` where the network driver cannot do it, and a `StoreError` when the database cannot be used.
    """

    def __init__(
        self,
        driver: NetworkDriver,
        context: Context,
        *,
        check_dhcp_options: Callable[[Sequence[DhcpOption]], None] = lambda _: None,
        changed: Callable[[object], None] = lambda _: None,
        guard: Guard = lambda *_: nullcontext(),
    ) -> None:
        """`changed` is called after the commit of a change that the hosts' filters and DHCP servers must follow.

        It is given what was made or changed, None where that is gone. `check_dhcp_options` is given those of a port
        before they are on record, and raises `InvalidInput` for what the servers that are to hand them out refuse.
        `guard` is asked before a port is changed or deleted.
        """
        self._check_dhcp_options = check_dhcp_options
        self._changed = changed
        self._guard = guard
        self._driver = driver
        self._context = context
        self._known: dict[str, frozenset[str] | None] = {}

    # --- networks -------------------------------------------------------------------------------------------------

    def create_network(self, *, context: Context | None = None, **attributes: Unpack[NewNetwork]) -> Network:
        """Make a network. Raises `VlanIdInUse`, `FlatNetworkInUse`, `TunnelIdInUse`, `NoNetworkAvailable`."""
        made: Network = self._call("create_network", context, as_given(attributes))
        return made

    def update_network(
        self, network_id: str, *, context: Context | None = None, **attributes: Unpack[NetworkChanges]
    ) -> Network:
        """Change what is given. Raises `NetworkNotFound`, `InvalidSharedSetting`, `NetworkMTUSubnetConflict`."""
        changed: Network = self._call("update_network", context, attributes, network_id)
        return changed

    def delete_network(self, network_id: str, *, context: Context | None = None) -> None:
        """Delete a network, its subnets and DHCP ports. Raises `NetworkNotFound`, `NetworkInUse`."""
        self._call("delete_network", context, {}, network_id)

    def show_network(self, network_id: str, *, context: Context | None = None) -> Network:
        """One network by id. Raises `NetworkNotFound`."""
        found: Network = self._call("show_network", context, {}, network_id)
        return found

    def list_networks(self, *, context: Context | None = None, **filters: Unpack[NetworkFilters]) -> Sequence[Network]:
        """The networks that match all filters, by name: the project's, shared and external ones."""
        found: Sequence[Network] = self._call("list_networks", context, filters)
        return found

    # --- subnets --------------------------------------------------------------------------------------------------

    def create_subnet(self, *, context: Context | None = None, **attributes: Unpack[NewSubnet]) -> Subnet:
        """Make a subnet; ports that are there get an address of a SLAAC one.

        Raises `NetworkNotFound`, `NetworkMTUSubnetConflict`, `GatewayConflictWithAllocationPools`, `IpamValueInvalid`,
        `InvalidAllocationPool`, `OutOfBoundsAllocationPool`, `OverlappingAllocationPools`, `DNSNameServersExhausted`,
        `HostRoutesExhausted`.
        """
        made: Subnet = self._call("create_subnet", context, as_given(attributes))
        return made

    def update_subnet(
        self, subnet_id: str, *, context: Context | None = None, **attributes: Unpack[SubnetChanges]
    ) -> Subnet:
        """Change what is given. Raises as `create_subnet`, and `SubnetNotFound`."""
        changed: Subnet = self._call("update_subnet", context, attributes, subnet_id)
        return changed

    def delete_subnet(self, subnet_id: str, *, context: Context | None = None) -> None:
        """Delete a subnet. Raises `SubnetNotFound`, and `SubnetInUse` while ports have addresses of it."""
        self._call("delete_subnet", context, {}, subnet_id)

    def show_subnet(self, subnet_id: str, *, context: Context | None = None) -> Subnet:
        """One subnet by id. Raises `SubnetNotFound`."""
        found: Subnet = self._call("show_subnet", context, {}, subnet_id)
        return found

    def list_subnets(self, *, context: Context | None = None, **filters: Unpack[SubnetFilters]) -> Sequence[Subnet]:
        """The subnets that match all filters, in the order in which they were made."""
        found: Sequence[Subnet] = self._call("list_subnets", context, filters)
        return found

    # --- ports ----------------------------------------------------------------------------------------------------

    def create_port(self, *, context: Context | None = None, **attributes: Unpack[NewPort]) -> Port:
        """Make a port with its addresses; bind it where `binding_host_id` is given.

        Raises `NetworkNotFound`, `SubnetNotFound`, `MacAddressInUse`, `MacAddressGenerationFailure`,
        `IpAddressAlreadyAllocated`, `IpAddressGenerationFailure`, `InvalidIpForNetwork`, `InvalidIpForSubnet`,
        `SecurityGroupNotFound`, `MechanismDriverError` and others of Neutron's names.
        """
        made: Port = self._call("create_port", context, as_given(attributes))
        return made

    def create_ports(self, requests: Sequence[NewPort], *, context: Context | None = None) -> Sequence[Port]:
        """Make all these ports or none (Neutron: a bulk request). Raises as `create_port`."""
        given = [as_given(each) if isinstance(each, Mapping) else each for each in requests]
        made: Sequence[Port] = self._call("create_ports", context, {}, given)
        return made

    def update_port(self, port_id: str, *, context: Context | None = None, **attributes: Unpack[PortChanges]) -> Port:
        """Change what is given. Addresses that `fixed_ips` names again are kept, others go, new ones are taken.

        A binding that fails leaves `binding_vif_type` "binding_failed" and is no error. Raises as `create_port`, and
        `PortNotFound`, `PortBound`, `PortInUse`, `PortSecurityPortHasSecurityGroup`.
        """
        self._check_options(attributes, ())

        def change() -> Port:
            with self._guard(context or self._context, port_id, attributes) as tx:
                changed: Port = self._do("update_port", context, attributes, port_id, tx=tx)
            return changed

        changed = _again_after_conflicts(change)
        self._changed(changed)
        return changed

    def delete_port(self, port_id: str, *, context: Context | None = None) -> None:
        """Delete a port and give its addresses back. Raises `PortNotFound`, `PortInUse` for an instance's NIC."""

        def delete() -> None:
            with self._guard(context or self._context, port_id, None) as tx:
                self._do("delete_port", context, {}, port_id, tx=tx)

        _again_after_conflicts(delete)

    def show_port(self, port_id: str, *, context: Context | None = None) -> Port:
        """One port by id. Raises `PortNotFound`."""
        found: Port = self._call("show_port", context, {}, port_id)
        return found

    def list_ports(self, *, context: Context | None = None, **filters: Unpack[PortFilters]) -> Sequence[Port]:
        """The ports that match all filters, in the order in which they were made."""
        found: Sequence[Port] = self._call("list_ports", context, filters)
        return found

    # --- security groups ------------------------------------------------------------------------------------------

    def create_security_group(
        self, *, context: Context | None = None, **attributes: Unpack[NewSecurityGroup]
    ) -> SecurityGroup:
        """Make a group with the two rules that let everything out. Raises `SecurityGroupDefaultAlreadyExists`."""
        made: SecurityGroup = self._call("create_security_group", context, as_given(attributes))
        return made

    def update_security_group(
        self, group_id: str, *, context: Context | None = None, **attributes: Unpack[SecurityGroupChanges]
    ) -> SecurityGroup:
        """Change what is given. Raises `SecurityGroupNotFound`, `SecurityGroupCannotUpdateDefault`."""
        changed: SecurityGroup = self._call("update_security_group", context, attributes, group_id)
        return changed

    def delete_security_group(self, group_id: str, *, context: Context | None = None) -> None:
        """Delete a group with its rules. Raises `SecurityGroupNotFound`, `SecurityGroupInUse`."""
        self._call("delete_security_group", context, {}, group_id)

    def show_security_group(self, group_id: str, *, context: Context | None = None) -> SecurityGroup:
        """One group by id, with its rules. Raises `SecurityGroupNotFound`."""
        found: SecurityGroup = self._call("show_security_group", context, {}, group_id)
        return found

    def list_security_groups(
        self, *, context: Context | None = None, **filters: Unpack[SecurityGroupFilters]
    ) -> Sequence[SecurityGroup]:
        """The groups that match all filters, by name; the project's `default` is made when it is not there yet."""
        found: Sequence[SecurityGroup] = self._call("list_security_groups", context, filters)
        return found

    def create_security_group_rule(
        self, *, context: Context | None = None, **attributes: Unpack[NewSecurityGroupRule]
    ) -> SecurityGroupRule:
        """Add a rule to a group. Raises `SecurityGroupNotFound`, `SecurityGroupRuleExists`."""
        made: SecurityGroupRule = self._call("create_security_group_rule", context, as_given(attributes))
        return made

    def delete_security_group_rule(self, rule_id: str, *, context: Context | None = None) -> None:
        """Take a rule away. Raises `SecurityGroupRuleNotFound`."""
        self._call("delete_security_group_rule", context, {}, rule_id)

    def show_security_group_rule(self, rule_id: str, *, context: Context | None = None) -> SecurityGroupRule:
        """One rule by id. Raises `SecurityGroupRuleNotFound`."""
        found: SecurityGroupRule = self._call("show_security_group_rule", context, {}, rule_id)
        return found

    def list_security_group_rules(
        self, *, context: Context | None = None, **filters: Unpack[SecurityGroupRuleFilters]
    ) -> Sequence[SecurityGroupRule]:
        """The rules that match all filters."""
        found: Sequence[SecurityGroupRule] = self._call("list_security_group_rules", context, filters)
        return found

    # --- quotas ---------------------------------------------------------------------------------------------------

    def show_quota(self, project_id: str | None = None, *, context: Context | None = None) -> Quota:
        """How much a project may have, and has; by default the context's. Another's is for administrators only."""
        found: Quota = self._call("show_quota", context, {}, self._project(project_id, context))
        return found

    def list_quotas(self, *, context: Context | None = None) -> Sequence[Quota]:
        """The quotas of the projects that have limits of their own. For administrators only."""
        found: Sequence[Quota] = self._call("list_quotas", context, {})
        return found

    def set_quota(
        self,
        project_id: str | None = None,
        *,
        force: bool = False,
        context: Context | None = None,
        **limits: Unpack[QuotaLimits],
    ) -> Quota:
        """Give a project limits of its own, those that are given (-1: no limit). For administrators only.

        Raises `HTTPBadRequest` for a limit below what the project has; with `force` it then gets no more.
        """
        named = {**limits, "force": force}
        changed: Quota = self._call("set_quotas", context, named, self._project(project_id, context))
        return changed

    def delete_quota(self, project_id: str | None = None, *, context: Context | None = None) -> None:
        """Take a project's own limits away: those of the settings hold again. For administrators only."""
        self._call("delete_quota", context, {}, self._project(project_id, context))

    def _project(self, project_id: str | None, context: Context | None) -> str:
        return project_id or (context or self._context).project_id

    # --- the driver -----------------------------------------------------------------------------------------------

    def _call(self, operation: str, context: Context | None, named: Mapping[str, object], *places: object) -> Any:
        self._check_options(named, places)
        result = _again_after_conflicts(lambda: self._do(operation, context, named, *places))
        if operation in _MATTERS_TO_HOSTS:
            self._changed(result)
        return result

    def _check_options(self, named: Mapping[str, object], places: Sequence[object]) -> None:
        if options := [*_options(named), *(option for each in _requests(places) for option in _options(each))]:
            self._check_dhcp_options(options)

    def _do(
        self,
        operation: str,
        context: Context | None,
        named: Mapping[str, object],
        *places: object,
        tx: Transaction | None = None,
    ) -> Any:
        method = self._method(operation)
        if unknown := self._unknown(operation, method, named):
            raise errors.HTTPNotImplemented(
                f"{operation}: the network driver {type(self._driver).__name__} does not know {', '.join(unknown)}"
            )
        if misused := sorted(_OUR_OWN.intersection(named)):
            raise errors.HTTPBadRequest(f"{operation}: unrecognized attribute {', '.join(map(repr, misused))}")
        own = {} if tx is None else {"tx": tx}
        return method(context or self._context, *places, **named, **own)

    def _method(self, operation: str) -> Callable[..., Any]:
        method: Callable[..., Any] | None = getattr(self._driver, operation, None)
        if method is None:
            raise errors.HTTPNotImplemented(f"{operation}: the network driver {type(self._driver).__name__} has none")
        return method

    def _unknown(self, operation: str, method: Callable[..., Any], named: Mapping[str, object]) -> Sequence[str]:
        """What is given that the driver's method does not take; one that takes everything checks for itself."""
        if operation not in self._known:
            parameters = inspect.signature(method).parameters.values()
            takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
            self._known[operation] = None if takes_all else frozenset(each.name for each in parameters)
        known = self._known[operation]
        return () if known is None else sorted(named.keys() - known)


def _again_after_conflicts(call: Callable[[], T]) -> T:
    """What a call gives. One whose transaction PostgreSQL has rolled back for another one has done nothing: it begins
    anew, behind that one."""
    for _ in range(_MOST_TRIES - 1):
        with suppress(errors.DatabaseConflict):
            return call()
    return call()


def _requests(places: Sequence[object]) -> Iterator[object]:
    """The ports of a bulk request."""
    for place in places:
        if isinstance(place, (list, tuple)):
            yield from place


def _options(request: object) -> Iterator[DhcpOption]:
    """The DHCP options of a port that is asked for; what is none by its form, the network driver refuses."""
    match request:
        case {"extra_dhcp_opts": [*given]}:
            for option in given:
                match option:
                    case {"opt_name": str(name), "opt_value": str(value), **more}:
                        yield DhcpOption(name, value, 6 if str(more.get("ip_version")) == "6" else 4)
