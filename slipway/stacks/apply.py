"""Carries out what a plan says of the things besides instances, after a last look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.model.network import Context, SecurityGroup
from slipway.model.neutron import meaning
from slipway.model.request import Place
from slipway.operations.hosts import check_room
from slipway.stacks import attributes
from slipway.stacks.changes import Changes
from slipway.stacks.compare import Comparison
from slipway.stacks.lookups import Lookups, all_or_nothing
from slipway.stacks.ours import Ours
from slipway.stacks.plan import ACTS, Change, How, Plan
from slipway.stacks.routing import Routing
from slipway.states import hosts
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction


def bring_about(plan: Plan, store: Store, drivers: Drivers) -> Changes:
    """Make and change hosts, security groups, networks, subnets and ports as the plan says.

    What is made bears the file's stack from then on; what was there before is only used. All or nothing where the
    network is in our own database. Raises `PlanOutdated` where something else would have to be done by now, and the
    network service's error for what it refuses.
    """
    here = drivers.settle()
    with all_or_nothing(store, drivers.network) as tx:
        ours = Ours(plan.file.stack, store, drivers.network, tx)
        changes = list(Comparison(plan.file, drivers.network, ours, tx).changes())
        _check(plan, changes)
        work = _Apply(plan, drivers.network, ours, here, tx)
        for change in changes:
            work.do(change)
    return Changes(tuple(work.created), tuple(work.changed))


def _check(plan: Plan, changes: Sequence[Change]) -> None:
    """Refuse what is not in the plan. What somebody else has made meanwhile need not be made again."""
    planned = {(one.kind, one.within, one.name): one for one in plan.changes if not one.real}
    for change in changes:
        if change.how not in ACTS:
            continue
        was = planned.get((change.kind, change.within, change.name))
        made = was is not None and was.how is How.MAKE and change.how is How.MEND
        if not made and (was is None or (was.how, was.differences) != (change.how, change.differences)):
            raise errors.PlanOutdated(f"{change.label} has changed since it was planned what is done: run it again")


class _Apply:
    """Does one change after the other; collects what a person is to be told."""

    def __init__(self, plan: Plan, driver: NetworkDriver, ours: Ours, here: Place, tx: Transaction | None) -> None:
        file = plan.file
        self._file, self._driver, self._ours, self._here, self._tx = file, driver, ours, here, tx
        self._user, self._admin = Context(file.project), Context(file.project, is_admin=True)
        self._find = Lookups(driver, self._user, ours, tx)
        self._routing = Routing(file, driver, self._find, tx, ours.description)
        self._routers = {router.name: router for router in file.routers}
        self._addresses = {address.name: address for address in file.floating_ips}
        self._hosts = {host.name: host for host in file.hosts}
        self._groups = {group.name: group for group in file.security_groups}
        self._networks = {network.name: network for network in file.networks}
        self.created: list[str] = []
        self.changed: list[str] = []

    def do(self, change: Change) -> None:
        """Make it, change it, or have it on record; what stays is left alone."""
        if change.how not in ACTS:
            return
        doing = {
            Kind.HOST: self._host,
            Kind.SECURITY_GROUP: self._security_group,
            Kind.NETWORK: self._network,
            Kind.SUBNET: self._subnet,
            Kind.PORT: self._port,
            Kind.ROUTER: self._router,
            Kind.FLOATING_IP: self._floating_ip,
        }
        id_ = doing[Kind(change.kind)](change)
        if change.how is not How.CHANGE:
            self._ours.add(Kind(change.kind), id_)
        (self.created if change.how is How.MAKE else self.changed).append(change.label)

    def _host(self, change: Change) -> str:
        """The stack's own hosts may change at any time: what was claimed from them stays claimed."""
        host = self._hosts[change.name]
        with self._ours.transaction() as tx:
            if change.how is How.CHANGE:
                host = replace(hosts.get(tx, host.name), **{name: getattr(host, name) for name in change.attributes})
            check_room(tx, host)
            hosts.save(tx, host, self._here)
        return host.name

    def _security_group(self, change: Change) -> str:
        entry = self._groups[change.name]
        group = self._find.security_group(entry.name)
        if group is None:
            group = self._driver.create_security_group(
                self._user, name=entry.name, description=self._ours.description, tx=self._tx
            )
        if change.how is How.MAKE or "rules" in change.attributes:
            self._rules(group, entry.rules)
        return group.id

    def _rules(self, group: SecurityGroup, wanted: Sequence[Any]) -> None:
        """Let in what is wanted before what is not is let in no more."""
        there = {*attributes.said(group)}
        for one in wanted:
            if meaning(one) not in there:
                there.add(meaning(one))
                self._driver.create_security_group_rule(
                    self._user, security_group_id=group.id, tx=self._tx, **attributes.rule(one)
                )
        kept = {*map(meaning, wanted)} | attributes.GIVEN
        for one in group.rules:
            if one.remote_group_id is None and meaning(one) not in kept:
                self._driver.delete_security_group_rule(self._user, one.id, tx=self._tx)

    def _network(self, change: Change) -> str:
        entry = self._networks[change.name]
        said = attributes.network(entry)
        if change.id is None:
            if not entry.host_address:
                # A network service of another make knows no such thing, and need not hear of it.
                del said["host_address"]
            made = self._driver.create_network(
                self._admin,
                name=entry.name,
                **said,
                description=self._ours.description,
                project_id=self._file.project,
                tx=self._tx,
            )
            return made.id
        if change.attributes:
            named = {name: said[name] for name in change.attributes}
            self._driver.update_network(self._admin, change.id, tx=self._tx, **named)
        return change.id

    def _subnet(self, change: Change) -> str:
        network = self._networks[change.within or ""]
        entry = next(one for one in network.subnets if one.name == change.name)
        if change.id is None:
            said = {**attributes.new_subnet(entry), "description": self._ours.description}
            return self._driver.create_subnet(self._user, network_id=self._network_id(change), tx=self._tx, **said).id
        if change.attributes:
            (found,) = (each for each in self._listed(change) if each.id == change.id)
            wanted = attributes.subnet(entry, found)
            named = {name: attributes.as_request(wanted[name]) for name in change.attributes}
            self._driver.update_subnet(self._admin, change.id, tx=self._tx, **named)
        return change.id

    def _listed(self, change: Change) -> Sequence[Any]:
        return self._driver.list_subnets(self._admin, network_id=self._network_id(change), tx=self._tx)

    def _network_id(self, change: Change) -> str:
        network = self._find.network(change.within or "")
        if network is None:
            raise errors.PlanOutdated(f"network {change.within} is not there any more: run it again")
        return network.id

    def _port(self, change: Change) -> str:
        network = self._networks[change.within or ""]
        entry = next(one for one in network.ports if one.name == change.name)
        said: dict[str, Any] = {
            "fixed_ips": [{"ip_address": entry.fixed_ip}] if entry.fixed_ip else None,
            "mac_address": entry.mac_address,
            **({} if entry.dns_name is None else {"dns_name": entry.dns_name}),
            "security_groups": self._group_ids(entry.security_groups),
        }
        if change.id is None:
            made = self._driver.create_port(
                self._admin,
                network_id=self._network_id(change),
                name=entry.name,
                project_id=self._file.project,
                description=self._ours.description,
                tx=self._tx,
                **said,
            )
            return made.id
        if change.attributes:
            said["security_groups"] = self._group_ids(entry.security_groups or ("default",))
            named = {name: said[name] for name in change.attributes}
            self._driver.update_port(self._admin, change.id, tx=self._tx, **named)
        return change.id

    def _router(self, change: Change) -> str:
        entry = self._routers[change.name]
        if change.id is None:
            return self._routing.make_router(entry)
        self._routing.change_router(change.id, entry, change.attributes)
        return change.id

    def _floating_ip(self, change: Change) -> str:
        entry = self._addresses[change.name]
        if change.id is None:
            return self._routing.make_floating_ip(entry)
        if change.attributes:
            self._routing.change_floating_ip(change.id, entry)
        return change.id

    def _group_ids(self, names: Sequence[str] | None) -> list[str] | None:
        if names is None:
            return None
        found = {name: self._find.security_group(name) for name in names}
        return [name if group is None else group.id for name, group in found.items()]
