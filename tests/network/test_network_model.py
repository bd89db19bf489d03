"""The embedded network against a plain model in memory, through random sequences of requests.

With the environment variable `CI` set it goes at least 10,000 steps.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from slipway import errors
from slipway.drivers.network.embedded.addressing.addresses import eui64
from slipway.drivers.network.embedded.common.tables import free_ranges, quotas
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, Port
from slipway.settings import Settings
from slipway.states.store import Store

ADMIN = Context("demo", is_admin=True)
QUOTA = 12
SLAAC = "2001:db8::/64"

offsets = st.integers(0, 7)
places = st.integers(0, 3)
wanted = st.lists(st.tuples(places, st.none() | offsets), max_size=3)


@dataclass
class ModelSubnet:
    """A /29 of which the addresses in `pool` are handed out; those in `resting` after all others, in this order."""

    id: str
    network: IPv4Network
    pool: set[IPv4Address]
    resting: list[IPv4Address] = field(default_factory=list)

    def next(self, taken: set[IPv4Address], given_back: list[IPv4Address]) -> IPv4Address | None:
        """The address that is handed out next when these are taken and these were given back just now."""
        free, resting = self.pool - taken, self.resting + given_back
        fresh = free.difference(resting)
        return min(fresh) if fresh else next((address for address in resting if address in free), None)


@dataclass
class ModelPort:
    """A port with its IPv4 addresses and their subnets, in order."""

    mac: str
    addresses: list[tuple[str, IPv4Address]] = field(default_factory=list)


class NetworkMachine(RuleBasedStateMachine):
    """One network with up to four small subnets and maybe a SLAAC one."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.store = Store(f"sqlite:///{Path(self.directory.name) / 'slipway.db'}", synchronous="OFF")
        self.driver = EmbeddedNetwork(self.store, Settings(quota_port=QUOTA), rng=random.Random(1))
        self.network_id = self.driver.create_network(ADMIN, name="net").id
        self.subnets: list[ModelSubnet] = []
        self.slaac: str | None = None
        self.ports: dict[str, ModelPort] = {}
        self.made = 0

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    # --- the model ----------------------------------------------------------------------------------------------

    def taken(self) -> set[IPv4Address]:
        return {address for port in self.ports.values() for _, address in port.addresses}

    def settle(self, given_back: list[IPv4Address]) -> None:
        """What was given back rests, until it is taken or leaves the pool."""
        taken = self.taken()
        for subnet in self.subnets:
            there = subnet.pool - taken
            subnet.resting = [address for address in subnet.resting + given_back if address in there]

    def expected(
        self, asked: list[tuple[int, int | None]], kept: list[tuple[str, IPv4Address]], freed: list[IPv4Address]
    ) -> list[tuple[str, IPv4Address]] | type[Exception]:
        """The addresses of a port that asks for these besides those that it keeps, or the error that it gets."""
        for place, offset in asked:
            if offset in (0, 7) and place < len(self.subnets):
                return errors.InvalidIpForSubnet
        taken = self.taken().difference(freed)
        got: dict[int, tuple[str, IPv4Address]] = {}
        order = sorted(range(len(asked)), key=lambda index: asked[index][1] is None)
        for index in order:
            place, offset = asked[index]
            subnet = self.subnets[place]
            if offset is not None:
                address = subnet.network[offset]
                if address in taken:
                    return errors.IpAddressAlreadyAllocated
            else:
                found = subnet.next(taken, freed)
                if found is None:
                    return errors.IpAddressGenerationFailure
                address = found
            taken.add(address)
            got[index] = (subnet.id, address)
        return kept + [got[index] for index in range(len(asked))]

    def request(self, asked: list[tuple[int, int | None]]) -> list[dict[str, str]]:
        return [
            {"subnet_id": self.subnets[place].id}
            | ({} if offset is None else {"ip_address": str(self.subnets[place].network[offset])})
            for place, offset in asked
        ]

    def usable(self, asked: list[tuple[int, int | None]]) -> list[tuple[int, int | None]]:
        """The same without subnets that are not there, and without an address that is asked for twice."""
        found: list[tuple[int, int | None]] = []
        for place, offset in asked:
            if place < len(self.subnets) and (offset is None or (place, offset) not in found):
                found.append((place, offset))
        return found

    def attempt(
        self, expected: list[tuple[str, IPv4Address]] | type[Exception], call: Callable[[], Port]
    ) -> tuple[Port, list[tuple[str, IPv4Address]]] | None:
        if isinstance(expected, type):
            with pytest.raises(expected):
                call()
            return None
        return call(), expected

    # --- the requests -------------------------------------------------------------------------------------------

    def make(self, expected: list[tuple[str, IPv4Address]] | type[Exception], **attributes: Any) -> None:
        if len(self.ports) >= QUOTA:
            expected = errors.OverQuota
        made = self.attempt(expected, lambda: self.driver.create_port(ADMIN, network_id=self.network_id, **attributes))
        if made is not None:
            self.ports[made[0].id] = ModelPort(made[0].mac_address, made[1])
            self.settle([])

    @rule()
    def create(self) -> None:
        found = [(subnet.id, subnet.next(self.taken(), [])) for subnet in self.subnets]
        usable = [(subnet_id, address) for subnet_id, address in found if address is not None]
        if usable:
            self.make(usable[:1])
        else:
            self.make(errors.IpAddressGenerationFailure if self.subnets else [])

    @rule(asked=wanted)
    def create_with(self, asked: list[tuple[int, int | None]]) -> None:
        asked = self.usable(asked)
        self.make(self.expected(asked, [], []), fixed_ips=self.request(asked))

    @precondition(lambda self: self.ports)
    @rule(which=st.integers(0, QUOTA), asked=wanted)
    def update(self, which: int, asked: list[tuple[int, int | None]]) -> None:
        port_id = list(self.ports)[which % len(self.ports)]
        port, asked = self.ports[port_id], self.usable(asked)
        left, kept = list(port.addresses), []
        added: list[tuple[int, int | None]] = []
        for place, offset in asked:
            subnet = self.subnets[place]
            same = (subnet.id, subnet.network[offset or 0])
            if offset is not None and same in left:
                left.remove(same)
                kept.append(same)
            elif offset is not None:
                added.append((place, offset))
        for place, offset in asked:
            there = [each for each in left if each[0] == self.subnets[place].id]
            if offset is None and there:
                left.remove(there[-1])
                kept.append(there[-1])
            elif offset is None:
                added.append((place, None))
        kept = [each for each in port.addresses if each in kept]
        given_back = [address for _, address in left]
        expected = self.expected(added, kept, given_back)
        got = self.attempt(expected, lambda: self.driver.update_port(ADMIN, port_id, fixed_ips=self.request(asked)))
        if got is not None:
            port.addresses = got[1]
            self.settle(given_back)

    @precondition(lambda self: self.ports)
    @rule(which=st.integers(0, QUOTA))
    def delete(self, which: int) -> None:
        port_id = list(self.ports)[which % len(self.ports)]
        self.driver.delete_port(ADMIN, port_id)
        self.settle([address for _, address in self.ports.pop(port_id).addresses])
        with pytest.raises(errors.PortNotFound):
            self.driver.show_port(ADMIN, port_id)

    @precondition(lambda self: len(self.subnets) < 4)
    @rule(first=st.integers(2, 6), last=st.integers(2, 6))
    def add_subnet(self, first: int, last: int) -> None:
        network = IPv4Network(f"10.{self.made // 250}.{self.made % 250}.0/29")
        self.made += 1
        pool = [{"start": str(network[first]), "end": str(network[last])}]
        attributes: dict[str, Any] = {"cidr": str(network), "ip_version": 4, "allocation_pools": pool}
        if last < first:
            with pytest.raises(errors.InvalidAllocationPool):
                self.driver.create_subnet(ADMIN, network_id=self.network_id, **attributes)
            return
        subnet = self.driver.create_subnet(ADMIN, network_id=self.network_id, **attributes)
        self.subnets.append(ModelSubnet(subnet.id, network, {network[i] for i in range(first, last + 1)}))

    @precondition(lambda self: self.subnets)
    @rule(place=places, pools=st.lists(st.sampled_from([(1, 1), (2, 3), (4, 4), (5, 6)]), min_size=1, unique=True))
    def change_pools(self, place: int, pools: list[tuple[int, int]]) -> None:
        subnet = self.subnets[place % len(self.subnets)]
        asked = [{"start": str(subnet.network[a]), "end": str(subnet.network[b])} for a, b in pools]
        self.driver.update_subnet(ADMIN, subnet.id, gateway_ip=None, allocation_pools=asked)
        subnet.pool = {subnet.network[i] for a, b in pools for i in range(a, b + 1)}
        self.settle([])

    @precondition(lambda self: self.subnets)
    @rule(place=places)
    def delete_subnet(self, place: int) -> None:
        subnet = self.subnets[place % len(self.subnets)]
        if any(subnet_id == subnet.id for port in self.ports.values() for subnet_id, _ in port.addresses):
            with pytest.raises(errors.SubnetInUse):
                self.driver.delete_subnet(ADMIN, subnet.id)
        else:
            self.driver.delete_subnet(ADMIN, subnet.id)
            self.subnets.remove(subnet)

    @rule()
    def add_or_delete_slaac(self) -> None:
        if self.slaac is not None:
            self.driver.delete_subnet(ADMIN, self.slaac)
            self.slaac = None
            return
        modes: dict[str, Any] = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        subnet = self.driver.create_subnet(ADMIN, network_id=self.network_id, cidr=SLAAC, ip_version=6, **modes)
        self.slaac = subnet.id

    @precondition(lambda self: self.subnets)
    @rule(at=st.integers(0, 12), which=st.integers(0, QUOTA), verb=st.sampled_from(["create", "update", "delete"]))
    def kill(self, at: int, which: int, verb: str) -> None:
        """A process dies by SIGKILL before its `at`-th statement, or else before the commit: nothing has happened."""
        port_id = list(self.ports)[which % len(self.ports)] if self.ports else ""
        self.store.close()
        child = os.fork()
        if not child:
            self.die(at, verb, port_id)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

    def die(self, at: int, verb: str, port_id: str) -> None:
        left = itertools.count(at, -1)

        def kill(*_: object) -> None:
            if next(left) <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sa.event.listen(self.store.engine, "before_cursor_execute", kill)
            with suppress(errors.NetworkError), self.store.write() as tx:
                if verb == "create":
                    self.driver.create_port(ADMIN, network_id=self.network_id, tx=tx)
                elif verb == "update":
                    self.driver.update_port(ADMIN, port_id, fixed_ips=[{"subnet_id": self.subnets[0].id}] * 2, tx=tx)
                else:
                    self.driver.delete_port(ADMIN, port_id, tx=tx)
                os.kill(os.getpid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)

    # --- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def count_the_step(self) -> None:
        NetworkMachine.steps += 1

    @invariant()
    def ports_are_those_of_the_model(self) -> None:
        found = {port.id: port for port in self.driver.list_ports(ADMIN)}
        assert found.keys() == self.ports.keys()
        for port_id, port in self.ports.items():
            addresses = [(each.subnet_id, each.ip_address) for each in found[port_id].fixed_ips]
            v4 = [(subnet_id, address) for subnet_id, address in addresses if ":" not in address]
            assert v4 == [(subnet_id, str(address)) for subnet_id, address in port.addresses]
            v6 = [] if self.slaac is None else [(self.slaac, str(eui64(SLAAC, port.mac)))]
            assert [each for each in addresses if ":" in each[1]] == v6

    @invariant()
    def the_rest_is_free(self) -> None:
        with self.store.read() as tx:
            rows = tx.execute(sa.select(free_ranges).order_by(free_ranges.c.subnet_id, free_ranges.c.first)).all()
            used = {row.resource: row.used for row in tx.execute(sa.select(quotas))}
        for subnet in self.subnets:
            mine = [row for row in rows if row.subnet_id == subnet.id]
            free = [number for row in mine for number in range(int(row.first), int(row.last) + 1)]
            assert free == sorted(int(address) for address in subnet.pool - self.taken())
            resting = sorted((row for row in mine if row.given_back), key=lambda row: row.given_back)
            assert [row.first for row in resting] == subnet.resting
        assert used.get("port", 0) == len(self.ports)
        assert used.get("subnet", 0) == len(self.subnets) + (self.slaac is not None)


LONG = bool(os.environ.get("CI"))


def test_the_driver_does_what_the_model_says() -> None:
    NetworkMachine.steps = 0
    limits = settings(
        max_examples=300 if LONG else 25,
        stateful_step_count=50 if LONG else 30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(NetworkMachine, settings=limits)
    assert NetworkMachine.steps >= (10_000 if LONG else 300)
