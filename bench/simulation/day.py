"""A day on many hosts: who asks for what, what dies and comes back, and what is there in the end."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from bench.simulation.board import BoardServer
from bench.simulation.faults import Machine, Member, Outside
from bench.simulation.kernel import Kernel, Killed
from bench.simulation.workers import Simulated, work
from slipway import Flavor, GiB, Host, Image, InstanceRequest, MiB, NetworkRequest, Orchestrator, errors
from slipway.drill.auditor import audit
from slipway.drill.simulated import SimulatedDrivers
from slipway.drill.things import Things, look
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.settings import Settings
from slipway.states import instances
from slipway.states.store import Store

SETTINGS = Settings(quota_port=-1, poll_interval=5.0)
_MOST_AFTER = 48
"""Hours after the last request within which all is at rest."""
_ASKED_AGAIN = (errors.StoreError, errors.NotFinished, errors.InstanceBusy)


@dataclass(frozen=True)
class Plan:
    """`workers`: of each host; `hours` is how long they ask; `ttl` seconds after which others take over; `rate` of what
    goes wrong."""

    seed: int
    builds: int = 200
    hosts: int = 10
    workers: int = 2
    hours: float = 1.0
    ttl: int = 120
    rate: float = 1.0

    @property
    def line(self) -> str:
        """What repeats it."""
        return (
            f"python -m bench.simulation --seed {self.seed} --builds {self.builds} --hosts {self.hosts} "
            f"--workers {self.workers} --hours {self.hours:g} --ttl {self.ttl} --faults {self.rate:g}"
        )


@dataclass
class Told:
    """How it ended; `digest` is of the whole history."""

    digest: str = ""
    points: int = 0
    hours: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def run(plan: Plan, tell: Callable[[str], None] | None = None, parent: Path | None = None) -> Told:
    """Have that day. `tell` is told each line of its history; `parent`: where its files are for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="slipway-day-", dir=parent) as directory:
        return Day(plan, Path(directory), tell).told()


class Day:
    """One day."""

    def __init__(self, plan: Plan, state: Path, tell: Callable[[str], None] | None) -> None:
        self._plan, self._state = plan, state
        self._kernel = Kernel(plan.seed, tell)
        self._outside = Outside(self._kernel, plan.rate, plan.ttl)
        self._outside.dies = self._died
        self._server = BoardServer(self._kernel)
        self._rng = Random(f"users {plan.seed}")
        self._store = Store(f"sqlite:///{state}/slipway.db", synchronous="OFF")
        self._roles: dict[str, Callable[[], None]] = {}
        self._members: dict[str, Member] = {}
        self._machines: dict[str, Machine] = {}
        self._number = 0
        self._over = False
        self._open = 0
        """Requests that have no answer yet, and those that are still to be made."""
        self._operator = Orchestrator(
            state,
            store=lambda _url: self._store,
            settings=SETTINGS,
            drivers=lambda store, settings, where: SimulatedDrivers(
                EmbeddedNetwork(store, settings, rng=self._rng), where, self._kernel.sleep
            ),
            clock=lambda: self._any.clock(),
            monotonic=lambda: self._any.monotonic(),
            sleep=self._kernel.sleep,
            rng=self._rng,
        )
        self._any = self._member("operator")

    def told(self) -> Told:
        """Have it, and say how it ended."""
        self._set_up()
        before = look(self._state)
        self._ask()
        self._strike()
        self._kernel.sleep(self._plan.hours * 3600)
        self._outside.calm()
        told = Told(problems=self._settle())
        told.digest, told.points, told.hours = self._kernel.digest, self._kernel.points, self._kernel.now / 3600
        self._over = True
        self._kernel.close()
        self._operator.repair()
        there = look(self._state)
        told.problems += [str(one) for one in audit(there, before)]
        told.problems += [f"audit: {one}" for one in self._operator.audit()]
        told.problems += [f"{one} was done twice" for one in _doubled(there)]
        told.states = Counter(row["vm_state"] for row in there.rows["instances"])
        told.faults = self._outside.counts
        self._store.close()
        return told

    # --- who is there ---------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        plan = self._plan
        for number in range(plan.hosts):
            self._operator.add_host(Host(_host(number), vcpus=64, memory=256 * GiB, disk=4000 * GiB))
        net = self._operator.network.create_network(name="net")
        self._operator.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/8")
        self._roles |= {f"any-{at}": self._worker(f"any-{at}", (), anything=True) for at in range(3)}
        for number in range(plan.hosts):
            for at in range(plan.workers):
                name = f"{_host(number)}-{at}"
                self._roles[name] = self._worker(name, (_host(number),), anything=False)
        for start in self._roles.values():
            start()
        for at in range(4):
            self._member(f"client-{at}")

    def _member(self, name: str) -> Member:
        self._number += 1
        machine = self._machines.setdefault(name, Machine(name, self._rng))
        member = Member(self._outside, name, machine, self._number)
        self._members[name] = member
        return member

    def _worker(self, name: str, hosts: tuple[str, ...], *, anything: bool) -> Callable[[], None]:
        def start() -> None:
            member = self._member(name)

            def works() -> None:
                try:
                    made = Simulated(member, self._state, self._store, self._server, SETTINGS)
                    work(made, member, name=name, hosts=hosts, anything=anything, ttl=self._plan.ttl)
                except errors.SlipwayError as error:
                    self._kernel.told(f"ends: {type(error).__name__}")
                    self._outside.kill(member)

            self._kernel.start(member, works, after=self._rng.uniform(0.0, 10.0))

        return start

    def _died(self, member: Member) -> None:
        """A service manager starts it again."""
        member.machine.gone.add(member.played.worker)
        role = self._roles.get(member.name)

        def again() -> None:
            if role is not None:
                role()
            else:
                self._member(member.name)

        self._kernel.start(self._any, again, after=self._kernel.rng.uniform(1.0, 120.0))

    def _strike(self) -> None:
        """What befalls all at once, each some times a day, but once at least: the board loses all, or its claims; it
        is away, or the database."""
        seconds, times = self._plan.hours * 3600, max(1, round(self._plan.hours * self._plan.rate / 6))

        def away(what: str) -> None:
            now = self._kernel.now + self._rng.uniform(0.1, 1.5) * self._plan.ttl
            if what == "board away":
                self._server.away_until = now
            elif what == "database away":
                self._outside.database_away_until = now
            else:
                self._server.lose(claims_only=what == "claims lost")
            self._outside.counts[what] += 1
            self._kernel.told(what)

        for what in ("board lost all", "claims lost", "board away", "database away") if self._plan.rate else ():
            for _ in range(times):
                self._kernel.start(self._any, partial(away, what), after=self._rng.uniform(0.0, seconds))

    # --- who asks for what ----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """All requests of the day, at times that are drawn: in one out of ten of its hours there are half of them."""
        busy = self._rng.uniform(0.0, 0.9)
        for number in range(self._plan.builds):
            at = self._rng.random()
            if self._rng.random() < 0.5:
                at = busy + at / 10
            self._later(at * self._plan.hours * 3600, lambda client, name=f"vm-{number}": self._build(client, name))

    def _later(self, seconds: float, ask: Callable[[Orchestrator], None]) -> None:
        """Have one of the clients ask so many seconds from now on, and another one where that dies meanwhile."""

        self._open += 1

        def asked() -> None:
            client = self._members[f"client-{self._kernel.rng.randrange(4)}"]
            self._kernel.start(client, lambda: self._asking(client, ask))

        self._kernel.start(self._any, asked, after=seconds)

    def _asking(self, client: Member, ask: Callable[[Orchestrator], None]) -> None:
        try:
            self._outside.passes("asks", 0.1)
            ask(self._client(client))
        except _ASKED_AGAIN as error:
            self._kernel.told(f"is told {type(error).__name__}")
            self._again(ask)
        except Killed:
            if not self._over:
                self._again(ask)
            raise
        else:
            self._open -= 1

    def _again(self, ask: Callable[[Orchestrator], None]) -> None:
        self._open -= 1
        self._later(self._kernel.rng.uniform(5.0, 60.0), ask)

    def _client(self, member: Member) -> Orchestrator:
        made = getattr(member, "client", None)
        if made is None:
            made = member.client = Simulated(member, self._state, self._store, self._server, SETTINGS)
        return made

    def _build(self, client: Orchestrator, name: str) -> None:
        try:
            client._builder.create(request(name), _nothing, workflow="build-instance", stopping=lambda: True)
        except errors.NotFinished as error:
            # It is posted, and not waited for.
            if isinstance(error.__cause__.__cause__ if error.__cause__ else None, errors.StoreError):
                raise
        rng = self._rng
        if rng.random() < 0.1:
            self._later(rng.uniform(1.0, self._plan.hours * 1800), lambda other: self._powers(other, name))
        if rng.random() < 0.8:
            most = 30.0 if rng.random() < 0.1 else self._plan.hours * 1800
            self._later(rng.uniform(0.0, most), lambda other: self._deletes(other, name))

    def _powers(self, client: Orchestrator, name: str) -> None:
        try:
            if self._kernel.rng.random() < 0.5:
                client.stop(name, force=True)
            client.reboot(name, force=True)
        except (errors.InstanceNotFound, errors.UnexpectedState):
            self._kernel.told("may not")

    def _deletes(self, client: Orchestrator, name: str) -> None:
        try:
            client.delete(name)
        except errors.InstanceNotFound:
            self._kernel.told("is not there")

    # --- how it ends ----------------------------------------------------------------------------------------------

    def _settle(self) -> list[str]:
        for _ in range(round(_MOST_AFTER * 3600 / self._plan.ttl)):
            self._kernel.sleep(self._plan.ttl)
            with self._store.read() as tx:
                left: Sequence[object] = instances.unfinished(tx)
            if not left and not self._open:
                return []
        return [f"{one} is not at rest" for one in left] + [f"{self._open} requests have no answer"]


def request(name: str) -> InstanceRequest:
    """The least that can be built."""
    return InstanceRequest(
        name,
        Flavor("small", vcpus=1, memory=512 * MiB, disk=2 * GiB),
        Image("tiny", path="/tiny.qcow2", format="qcow2"),
        networks=(NetworkRequest("net"),),
        idempotency_key=name,
    )


def _doubled(there: Things) -> Iterator[str]:
    """The steps that are on record as done twice without having been undone between."""
    done: set[tuple[object, ...]] = set()
    for row in there.rows["events"]:
        key = tuple(row[column] for column in ("instance_id", "run_id", "attempt", "step", "slot", "host"))
        if row["type"] == "step.done":
            if key in done:
                yield f"{row['step']} of {row['instance_id']}"
            done.add(key)
        elif row["type"] == "step.undone":
            done.discard(key)


def _host(number: int) -> str:
    return f"node-{number + 1:04}"


def _nothing(_event: object) -> None:
    pass
