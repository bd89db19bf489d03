"""The hosts that the database chooses are those that a look at all of them would, whatever hosts and requests are.

`naive` is the scheduler as it was before: it reads every host and asks the same of each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.place import settle
from slipway.drivers.registry import Drivers
from slipway.errors import NoValidHost
from slipway.flows import choosing, scheduler
from slipway.flows.choosing import choose
from slipway.model.request import Flavor, Host, Image, InstanceRequest, Place, ServerGroup
from slipway.settings import Settings
from slipway.states import hosts, schema
from slipway.states.hosts import HostUsage
from slipway.states.store import Store

GIB = 2**30
ELSEWHERE = Place("another", "/elsewhere", "machine", "other")
IMAGE = Image("tiny", path="/tiny")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty record."""
    if request.param == "sqlite":
        made = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
        yield made
        made.close()
        return
    made = Store(request.getfixturevalue("database"))
    yield made
    made.close()


def naive(
    request: InstanceRequest, store: Store, members: Sequence[str], pins: Mapping[str, set[int]], most: int
) -> list[str]:
    """Every host is read, and asked whether it will do."""
    with store.read() as tx:
        rows = hosts.usages(tx)
    here = members.count
    group, policy = request.group, request.group.policy if request.group else ""
    required = {**dict(request.flavor.requires), **dict(request.requires)}
    disk = request.flavor.disk + sum(one for one in request.disks if isinstance(one, int))
    fitting = [
        usage
        for usage in rows
        if usage.host.enabled
        and usage.disabled is None
        and usage.host.place != ELSEWHERE
        and request.host in (None, usage.host.name)
        and request.zone in (None, usage.host.zone)
        and required.items() <= dict(usage.host.labels).items()
        and request.flavor.vcpus <= min(usage.host.vcpus, usage.vcpus_limit - usage.vcpus_used)
        and request.flavor.memory <= usage.memory_limit - usage.memory_used
        and disk <= usage.disk_limit - usage.disk_used
        and not pins.get(usage.host.name, set()) & {*request.flavor.pin_cpus}
        and not (policy == "anti-affinity" and here(usage.host.name))
        and not (policy == "affinity" and members and not here(usage.host.name))
    ]
    sign = {"soft-affinity": -1, "soft-anti-affinity": 1}.get(policy, 0) if group else 0
    fitting.sort(
        key=lambda usage: (
            sign * here(usage.host.name),
            usage.failed_builds,
            -(usage.memory_limit - usage.memory_used) / max(usage.memory_limit, 1),
            -(usage.vcpus_limit - usage.vcpus_used) / max(usage.vcpus_limit, 1),
            usage.host.name,
        )
    )
    return [usage.host.name for usage in fitting][:most]


class World:
    """Hosts of all kinds, some of them alike, with instances on them."""

    def __init__(self, store: Store, state: Path, rng: random.Random, *, elsewhere: float = 0.1) -> None:
        self.store, self.rng, self.elsewhere = store, rng, elsewhere
        self.drivers = Drivers(EmbeddedNetwork(store, Settings()), state)
        self.members: dict[str, list[str]] = {}
        self.pins: dict[str, set[int]] = {}
        here = settle(state)
        with store.write() as tx:
            for table in (schema.pinned_cpus, schema.claims, schema.instances, schema.host_labels, schema.hosts):
                tx.execute(table.delete())
            self.names = [
                f"{rng.choice(('node', 'Node', 'n'))}{rng.choice('-._')}{i}"
                for i in range(rng.choice((0, 1, 5, 40, 90)))
            ]
            for name in self.names:
                self._host(tx, name, here)
            for number in range(rng.randrange(60) if self.names else 0):
                self._instance(tx, number)

    def _host(self, tx: sa.Connection, name: str, here: Place) -> None:
        rng = self.rng
        host = Host(
            name,
            vcpus=rng.choice((1, 2, 4, 8)),
            memory=rng.choice((1, 2, 3, 7, 1000)) * GIB,
            disk=rng.choice((10, 20, 2**30)) * GIB,
            zone=rng.choice(("nova", "rack-b")),
            enabled=rng.random() < 0.9,
            cpu_ratio=rng.choice((0.5, 1.0, 1.5, 4.0)),
            memory_ratio=rng.choice((1.0, 1.5)),
            labels=tuple((key, rng.choice(("a", "b"))) for key in ("gpu", "disk") if rng.random() < 0.5),
        )
        hosts.save(tx, host, ELSEWHERE if rng.random() < self.elsewhere else here)
        if rng.random() < 0.1:
            hosts.disable(tx, name, "broken fan")
        limits = int(host.vcpus * host.cpu_ratio), int(host.memory * host.memory_ratio), host.disk
        used = [limit * rng.choice((0, 0, 1, 2, 3, 4)) // 4 for limit in limits]
        if rng.random() < 0.2:
            used[1] = rng.randrange(limits[1] + 1)
        counters = dict(zip(("vcpus_used", "memory_used", "disk_used"), used, strict=True))
        failed = rng.choice((0, 0, 0, 1, 2))
        tx.execute(schema.hosts.update().where(schema.hosts.c.name == name).values(**counters, failed_builds=failed))

    def _instance(self, tx: sa.Connection, number: int) -> None:
        host, group = self.rng.choice(self.names[:20]), self.rng.choice((None, "web", "db"))
        values = {"id": f"i{number}", "name": f"i{number}", "project": "default", "vm_state": "ACTIVE", "generation": 1}
        values |= {"workflow": "w", "request": b"{}", "group_name": group, "host": host, "attempt": 1}
        tx.execute(schema.instances.insert().values(**values, created_at=datetime(2026, 1, 1, tzinfo=UTC)))
        if group:
            self.members.setdefault(group, []).append(host)
        cpu = self.rng.randrange(4)
        if self.rng.random() < 0.3 and cpu not in self.pins.get(host, ()):
            self.pins.setdefault(host, set()).add(cpu)
            hosts.pin(tx, host, f"i{number}", [cpu])

    def request(self) -> InstanceRequest:
        rng = self.rng
        vcpus = rng.choice((1, 1, 2, 4))
        pins = tuple(rng.sample(range(8), vcpus)) if rng.random() < 0.2 else ()
        requires = (("gpu", "a"),) if rng.random() < 0.2 else ()
        policies = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
        return InstanceRequest(
            "new",
            Flavor("f", vcpus, rng.choice((1, GIB, 2 * GIB)), rng.choice((0, GIB)), pin_cpus=pins, requires=requires),
            IMAGE,
            group=ServerGroup(rng.choice(("web", "db", "new")), rng.choice(policies)) if rng.random() < 0.5 else None,
            zone=rng.choice((None, None, None, "rack-b", "nowhere")),
            host=rng.choice(self.names) if self.names and rng.random() < 0.1 else None,
            disks=(GIB,) if rng.random() < 0.2 else (),
            requires=(("disk", rng.choice("ab")),) if rng.random() < 0.2 else (),
        )

    def check(self, most: int) -> bool:
        request = self.request()
        members = self.members.get(request.group.name, []) if request.group else []
        expected = naive(request, self.store, members, self.pins, most)
        try:
            chosen = choose(request, self.store, self.drivers, besides="new", most=most)
        except NoValidHost:
            assert expected == [], request
            return False
        assert [host.name for host, _ in chosen] == expected, request
        assert [candidate.weights.name for _, candidate in chosen] == expected
        return True


def test_the_database_chooses_as_a_look_at_all_hosts_does(store: Store, tmp_path: Path) -> None:
    rng = random.Random(20260101)
    fitted = 0
    for _ in range(40):
        world = World(store, tmp_path, rng)
        fitted += sum(world.check(rng.choice((1, 3, 3, 20))) for _ in range(40))
    # Not all of them by saying that nothing fits.
    assert 500 < fitted < 1500


def test_the_database_says_why_nothing_fits_as_a_look_at_all_hosts_does(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(20260102)
    seen = set()
    monkeypatch.setattr(choosing, "_MANY", 0)
    with monkeypatch.context() as patch:
        patch.setattr(choosing, "usages", None)  # so that all hosts cannot be read
        for _ in range(30):
            world = World(store, tmp_path, rng, elsewhere=0)
            for _ in range(20):
                request = world.request()
                flavor = replace(request.flavor, memory=rng.choice((1, 3, 5000)) * GIB, pin_cpus=())
                request = replace(request, flavor=flavor, group=None)
                with store.read() as tx:
                    every = hosts.usages(tx)
                expected = nothing_fits(request, every)
                # Of few hosts all are told, by name.
                if expected and len(every) > scheduler.MOST_NAMED:
                    with pytest.raises(NoValidHost) as found:
                        choose(request, store, world.drivers, besides="new", most=3)
                    assert str(found.value) == expected
                    seen.add(expected)
    assert len(seen) > 40


def nothing_fits(request: InstanceRequest, every: Sequence[HostUsage]) -> str:
    try:
        scheduler.select(request, every, {})
    except NoValidHost as error:
        return str(error)
    return ""
