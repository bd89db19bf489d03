"""What a stack made besides its instances, taken away where nothing uses it any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import routing_of
from slipway.drivers.registry import Drivers
from slipway.model.network import Context, Network, Port, SecurityGroup, Subnet
from slipway.model.neutron import DHCP_OWNER, ROUTER_GATEWAY, ROUTER_INTERFACE, ROUTER_INTERFACES
from slipway.runfile.entries import NetworkEntry, RunFile
from slipway.stacks.changes import Changes
from slipway.stacks.lookups import AMBIGUOUS, Lookups, Named, T, all_or_nothing
from slipway.stacks.ours import Ours, stack_of, told
from slipway.stacks.routing import Routing
from slipway.states import hosts, instances, stacks
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction
from slipway.texts import some

_MOST = 5
"""Users of a thing that are named where it stays."""

_ROUTERS = (ROUTER_GATEWAY, *ROUTER_INTERFACES)


def take_back(file: RunFile, store: Store, drivers: Drivers) -> Changes:
    """Take away the ports, networks, security groups and hosts of the file's stack that nothing uses any more.

    By the record, not by the file: what left the file goes as well, and what the file names and the stack did not make
    stays; `kept` names that and what is still in use.
    """
    with all_or_nothing(store, drivers.network) as tx:
        work = _TakeBack(file, drivers.network, Ours(file.stack, store, drivers.network, tx), tx)
        work.all()
        work.others()
    return Changes(removed=tuple(work.removed), kept=tuple(work.kept))


def prune(file: RunFile, store: Store, drivers: Drivers, wanted: Collection[tuple[Kind, str]]) -> Changes:
    """Take away those of the stack's things, by kind and id; what is still in use is among `kept`."""
    with all_or_nothing(store, drivers.network) as tx:
        ours = Ours(file.stack, store, drivers.network, tx)
        work = _TakeBack(file, drivers.network, ours, tx, lambda kind, id_: (kind, id_) in wanted)
        work.all()
    return Changes(removed=tuple(work.removed), kept=tuple(work.kept))


class _TakeBack:
    """Removes what is the stack's; collects what a person is to be told."""

    def __init__(
        self,
        file: RunFile,
        driver: NetworkDriver,
        ours: Ours,
        tx: Transaction | None,
        goes: Callable[[Kind, str], bool] = lambda _kind, _id: True,
    ) -> None:
        """`goes`: whether the stack's thing of this kind and id is to be taken away."""
        self.goes = goes
        self.file, self.driver, self.ours, self.tx = file, driver, ours, tx
        self.user = Context(file.project)
        self.admin = Context(file.project, is_admin=True)
        self.find = Lookups(driver, self.user, ours, tx)
        self.removed: list[str] = []
        self.kept: list[str] = []

    def all(self) -> None:
        """Everything, what uses something before what it uses."""
        self.floating_ips()
        self.routers()
        self.ports()
        self.networks()
        self.security_groups()
        self.hosts()

    def floating_ips(self) -> None:
        """The addresses, those that stand for something too: they are the stack's own."""
        for id_ in self._going(Kind.FLOATING_IP):
            driver = routing_of(self.driver)
            found = driver.list_floatingips(self.admin, id=id_, tx=self.tx)
            if not found:
                self.ours.drop(Kind.FLOATING_IP, id_)
                continue
            label = f"floating IP {found[0].description or found[0].floating_ip_address}"
            for forwarding in found[0].port_forwardings:
                driver.delete_port_forwarding(self.admin, id_, forwarding.id, tx=self.tx)
            self._remove(Kind.FLOATING_IP, id_, label, driver.delete_floatingip)

    def routers(self) -> None:
        """The routers that no floating IP of others needs, with what they lead to."""
        for id_ in self._going(Kind.ROUTER):
            driver = routing_of(self.driver)
            found = driver.list_routers(self.admin, id=id_, tx=self.tx)
            if not found:
                self.ours.drop(Kind.ROUTER, id_)
                continue
            label = f"router {found[0].name or id_}"
            if needed := driver.list_floatingips(self.admin, router_id=id_, tx=self.tx):
                addresses = some([one.floating_ip_address for one in needed], _MOST)
                self.kept.append(f"{label}: in use by floating IP {addresses}")
                continue
            driver.update_router(self.admin, id_, routes=[], tx=self.tx)
            for port in self.driver.list_ports(self.admin, device_id=id_, tx=self.tx):
                if port.device_owner == ROUTER_INTERFACE:
                    driver.remove_router_interface(self.admin, id_, port_id=port.id, tx=self.tx)
            self._remove(Kind.ROUTER, id_, label, driver.delete_router)

    def _going(self, kind: Kind) -> Sequence[str]:
        return [id_ for id_ in sorted(self.ours.ids(kind)) if self.goes(kind, id_)]

    def ports(self) -> None:
        """The ports that no device has."""
        for port in self._own_ports():
            if not self.goes(Kind.PORT, port.id):
                continue
            label = f"port {port.name or port.id}"
            if self._given_back(Kind.PORT, port, label):
                continue
            if port.device_id:
                self.kept.append(f"{label}: in use by {self._holders([port])}")
            else:
                self._remove(Kind.PORT, port.id, label, self.driver.delete_port)

    def _own_ports(self) -> Iterator[Port]:
        """Looked at one by one: there may be very many of others. Only a service elsewhere may have unrecorded ones."""
        if self.ours.description:
            yield from self.ours.found(Kind.PORT, self.driver.list_ports, self.admin)
            return
        for id_ in self.ours.ids(Kind.PORT):
            try:
                yield self.driver.show_port(self.admin, id_, tx=self.tx)
            except errors.PortNotFound:
                self.ours.drop(Kind.PORT, id_)

    def networks(self) -> None:
        """The networks on which nothing of others is, and the subnets of which nobody has an address."""
        networks = self._found(Kind.NETWORK, self.driver.list_networks, self.admin)
        subnets = self._found(Kind.SUBNET, self.driver.list_subnets, self.admin)
        for network in networks:
            left = self._left_on(network)
            if left:
                self.kept.append(f"network {network.name}: in use by {self._holders(left)}")
                subnets = [subnet for subnet in subnets if subnet.network_id != network.id]
        for subnet in subnets:
            self._remove(Kind.SUBNET, subnet.id, f"subnet {subnet.name or subnet.id}", self.driver.delete_subnet)
        for network in networks:
            if self._left_on(network):
                continue
            others = self.driver.list_subnets(self.admin, network_id=network.id, tx=self.tx)
            label = f"network {network.name}"
            if others:
                names = ", ".join(subnet.name or subnet.id for subnet in others)
                self.kept.append(f"{label}: it has subnets that are not of the stack: {names}")
            else:
                self._remove(Kind.NETWORK, network.id, label, self.driver.delete_network)

    def _found(self, kind: Kind, list_: Callable[..., Sequence[Named]], context: Context) -> Sequence[Named]:
        going = [thing for thing in self.ours.found(kind, list_, context) if self.goes(kind, thing.id)]
        return [thing for thing in going if not self._given_back(kind, thing, f"{kind} {thing.name or thing.id}")]

    def _given_back(self, kind: Kind, thing: Network | Subnet | Port | SecurityGroup, label: str) -> bool:
        """Whether it was there before the stack, and is its owner's again."""
        if not self.ours.is_given_back(thing):
            return False
        self.ours.drop(kind, thing.id)
        self.kept.append(f"{label}: it was imported, and is given back")
        return True

    def _left_on(self, network: Network) -> Sequence[Port]:
        """The ports on it; but a DHCP server's goes with its network (Neutron)."""
        ports = self.driver.list_ports(self.admin, network_id=network.id, tx=self.tx)
        return [port for port in ports if port.device_owner != DHCP_OWNER]

    def _holders(self, ports: Sequence[Port]) -> str:
        """Who has these ports: instances and routers by their names, what has a port of nobody's by the port's.

        Only those that are named are looked up: on a shared network there may be very many.
        """
        holders = {port.device_id or port.id: port for port in ports}
        first = dict(list(holders.items())[:_MOST])
        with self.ours.transaction() as tx:
            names = {one.id: one.name for one in instances.those(tx, first)}
        if any(port.device_owner in _ROUTERS for port in first.values()):
            routers = routing_of(self.driver).list_routers(self.admin, tx=self.tx)
            names |= {router.id: f"router {router.name or router.id}" for router in routers}
        told = sorted(names.get(id_) or f"port {port.name or port.id}" for id_, port in first.items())
        return some([*told, *list(holders)[_MOST:]], _MOST)

    def security_groups(self) -> None:
        """The groups that no port uses."""
        mine = self._found(Kind.SECURITY_GROUP, self.driver.list_security_groups, self.user)
        users: dict[str, list[Port]] = defaultdict(list)
        for port in self._every_port() if mine else ():
            for group_id in port.security_groups:
                users[group_id].append(port)
        for group in mine:
            label = f"security group {group.name}"
            if group.id in users:
                self.kept.append(f"{label}: in use by {self._holders(users[group.id])}")
            else:
                self._remove(Kind.SECURITY_GROUP, group.id, label, self.driver.delete_security_group)

    def _every_port(self) -> Sequence[Port]:
        return self.driver.list_ports(self.admin, tx=self.tx)

    def hosts(self) -> None:
        """The hosts from which nothing is claimed."""
        with self.ours.transaction() as tx:
            claims: dict[str, list[str]] = defaultdict(list)
            for claim in hosts.all_claims(tx):
                claims[claim.host].append(claim.instance_id)
            for name in stacks.members(tx, self.file.stack, Kind.HOST):
                if not self.goes(Kind.HOST, name):
                    continue
                if claims[name]:
                    first, more = claims[name][:_MOST], claims[name][_MOST:]
                    names = sorted(instance.name for instance in instances.those(tx, first))
                    self.kept.append(f"host {name}: in use by {some([*names, *more], _MOST)}")
                else:
                    hosts.remove(tx, name)
                    stacks.drop(tx, Kind.HOST, name)
                    self.removed.append(f"host {name}")

    def others(self) -> None:
        """What the file names and the stack did not make."""
        for network in self.file.networks:
            self._others_on(network)
        for group in self.file.security_groups:
            label = f"security group {group.name}"
            self._name(Kind.SECURITY_GROUP, label, self._named(label, partial(self.find.security_group, group.name)))
        routing = Routing(self.file, self.driver, self.find, self.tx, self.ours.description)
        for router in self.file.routers:
            label = f"router {router.name}"
            self._name(Kind.ROUTER, label, self._named(label, partial(routing.router, router.name)))
        for address in self.file.floating_ips:
            label = f"floating IP {address.name}"
            self._name(Kind.FLOATING_IP, label, self._named(label, partial(routing.floating_ip, address.name)))
        with self.ours.transaction() as tx:
            known = {usage.host.name for usage in hosts.usages(tx)}
            for host in self.file.hosts:
                maker = stacks.stack_of(tx, Kind.HOST, host.name)
                if host.name in known and maker != self.file.stack:
                    self.kept.append(f"host {host.name}: it stays, for {told(maker, self.file.project)}")
            for entry in self.file.instances:
                instance = instances.find(tx, entry.request.name, self.file.project)
                if instance is not None and instance.stack != self.file.name:
                    self.kept.append(
                        f"instance {instance.name}: it stays, for {told(stack_of(instance), instance.project)}"
                    )

    def _others_on(self, entry: NetworkEntry) -> None:
        label = f"network {entry.name}"
        network = self._named(label, partial(self.find.network, entry.name))
        if network is None:
            return
        self._name(Kind.NETWORK, label, network)
        for subnet in entry.subnets:
            label = f"subnet {subnet.name}"
            self._name(Kind.SUBNET, label, self._named(label, partial(self.find.subnet, network, subnet.name)))
        for port in entry.ports:
            label = f"port {port.name}"
            self._name(Kind.PORT, label, self._named(label, partial(self.find.port, network, port.name)))

    def _named(self, label: str, find: Callable[[], T | None]) -> T | None:
        """What a name of the file's stands for; several are said to stay."""
        try:
            return find()
        except AMBIGUOUS as error:
            self.kept.append(f"{label}: {error}")
            return None

    def _name(self, kind: Kind, label: str, thing: T | None) -> None:
        if thing is not None and thing.id not in self.ours.ids(kind):
            self.kept.append(f"{label}: it stays, for {self.ours.whose(kind, thing.id)}")

    def _remove(self, kind: Kind, id_: str, label: str, delete: Callable[..., None]) -> None:
        try:
            delete(self.admin, id_, tx=self.tx)
        except errors.NotFound:
            pass
        except errors.Conflict as error:
            self.kept.append(f"{label}: {error}")
            return
        self.ours.drop(kind, id_)
        self.removed.append(label)
