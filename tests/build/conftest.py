"""What the tests of builds stand on: a world of simulated hosts with a network, a port brought along and a neighbour.

There are two of it. In the `local` one the network is rows of our own database and there are no taps, as a user of
the simulator has it. In the `remote` one neither the network nor the taps are ours, so that every effect is on record
before it is done, as with a real Neutron and real bridges.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from slipway.drill.simulated import WiringFiles
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.network.embedded.topology.mechanisms import LinuxBridge
from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model.network import Context, Port
from slipway.model.record import Instance
from slipway.model.request import Flavor, Host, Image, InstanceRequest, NetworkRequest
from slipway.operations.lifecycle import Listener
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.runfile import RunFile, loads
from slipway.settings import Settings
from slipway.states.store import Store, Transaction
from slipway.testing import COMMIT, Call, Fault, Faults
from tests import record

GIB = 1 << 30
SMALL = Flavor("small", vcpus=1, memory=GIB, disk=2 * GIB)
TINY = Image("tiny", path="/images/tiny.qcow2", format="qcow2")
HOST = "vcpus: 8, memory: 16GiB, disk: 100GiB"
Things = frozenset[tuple[str, str]]
"""Names and contents."""

VERBS = {
    ("binding_host_id", True): "bind",
    ("binding_host_id", False): "unbind",
    ("device_id", True): "take",
    ("device_id", False): "give_back",
}
"""What a change of a port is for, by an attribute and whether it is set or emptied."""

TABLES = {
    "claims": "instance_id, host, vcpus, memory, disk",
    "hosts": "name, vcpus_used, memory_used, disk_used",
    "ports": "id, mac_address, device_id, device_owner, binding_host_id, binding_vif_type",
    "allocations": "subnet_id, address, port_id",
    "port_security_groups": "*",
    "quotas": "project_id, resource, used",
}
"""What is in the database outside the record of instances and effects."""


class Network(EmbeddedNetwork):
    """The embedded network, with a fault point for each thing that a port is changed for."""

    at: Callable[[str], Any]
    asked: list[tuple[str, bool]]
    """Each change of a port that was asked for, and whether as the administrator."""

    def update_port(self, context: Context, port_id: str, *, tx: Transaction | None = None, **attributes: Any) -> Port:
        meant = (VERBS.get((name, bool(value))) for name, value in attributes.items())
        verb = next((verb for verb in meant if verb), "change")
        self.asked.append((verb, context.is_admin))
        with self.at(verb):
            return super().update_port(context, port_id, tx=tx, **attributes)

    def create_port(self, context: Context, *, tx: Transaction | None = None, **attributes: Any) -> Port:
        self.asked.append(("create_port", context.is_admin))
        return super().create_port(context, tx=tx, **attributes)

    def delete_port(self, context: Context, port_id: str, *, tx: Transaction | None = None) -> None:
        self.asked.append(("delete_port", context.is_admin))
        super().delete_port(context, port_id, tx=tx)


class RemoteNetwork(Network):
    """The same beyond our database: it never has our transaction."""

    local: ClassVar[bool] = False
    brings_dhcp: ClassVar[bool] = True


class Bridges(LinuxBridge):
    """Binds ports on all hosts but those that are `broken`."""

    def __init__(self, settings: Settings, broken: set[str]) -> None:
        super().__init__(settings)
        self.broken = broken

    def bind(self, tx: Transaction, port: Port, segment: Segment) -> str | None:
        return None if port.binding_host_id in self.broken else super().bind(tx, port, segment)


class RemoteDrivers(Drivers):
    """A host's drivers, none of which keeps anything in our database."""

    def make(self, host: Host) -> HostDrivers:
        return replace(super().make(host), wiring=WiringFiles(host, self._state))


@dataclass
class World:
    """A state directory and how to work in it."""

    state: Path
    file: RunFile
    remote: bool = False
    settings: Settings = field(default_factory=Settings)
    broken: set[str] = field(default_factory=set)
    """Hosts to which no port can be bound."""
    slept: list[float] = field(default_factory=list)
    network: Network = field(init=False)

    def drivers(self, store: Store, settings: Settings, state: Path, at: Callable[[str], Any]) -> Drivers:
        kind = RemoteNetwork if self.remote else Network
        network = kind(store, settings, mechanisms=(Bridges(settings, self.broken),))
        network.at, network.asked = at, []
        self.network = network
        return (RemoteDrivers if self.remote else Drivers)(network, state)

    def faults(self, *faults: Fault, on_call: Callable[[Call], None] = lambda _call: None) -> Faults:
        def drivers(store: Store, settings: Settings, state: Path) -> Drivers:
            return self.drivers(store, settings, state, made.at)

        made = Faults(*faults, drivers=drivers, on_call=on_call)
        return made

    @contextmanager
    def open(self, *faults: Fault | Faults, **options: Any) -> Iterator[Orchestrator]:
        """An orchestrator; a waiting driver or retry costs no time."""
        given = [one for one in faults if isinstance(one, Faults)]
        wrapped = given[0] if given else self.faults(*(one for one in faults if isinstance(one, Fault)))
        options = {"settings": self.settings, "sleep": self.slept.append} | options
        with wrapped.orchestrator(self.state, **options) as orchestrator:
            yield orchestrator

    def request(self, name: str = "web-1", *networks: NetworkRequest | str, **more: Any) -> InstanceRequest:
        nics = tuple(NetworkRequest(one) if isinstance(one, str) else one for one in networks or ("net",))
        return replace(InstanceRequest(name, SMALL, TINY, nics, project="demo"), **more)

    def fail(
        self, orchestrator: Orchestrator, request: InstanceRequest, listen: Listener = lambda _event: None
    ) -> BuildFailed:
        """Build what must fail; how it did."""
        with pytest.raises(BuildFailed) as caught:
            orchestrator.create(request, on_event=listen)
        return caught.value

    def driver_calls(self, seen: Faults, start: int = 0, end: int | None = None) -> Sequence[tuple[str, int]]:
        """The driver calls that were seen, each with its number among those of its name."""
        return [(call, nth) for call, nth in seen.calls[start:end] if call not in (COMMIT, *VERBS.values())]

    def ports(self, instance: Instance | None = None) -> Sequence[Port]:
        """The ports that there are, those of an instance if wanted, whoever may see them; needs an open world."""
        every = self.network.list_ports(Context("demo", is_admin=True))
        return [port for port in every if instance is None or port.device_id == instance.id]

    def things_of(self, instance: Instance) -> Things:
        """What bears the instance's id, in its name or in itself."""
        return frozenset(thing for thing in self.reality() if instance.id in thing[0] or instance.id in thing[1])

    def count(self, instance: Instance) -> Counter[str]:
        """How many things of each kind are the instance's: files by their directory, rows by their table."""
        names = (name.split("/") for name, _ in self.things_of(instance))
        return Counter(parts[2 if parts[0] == "world" else 0] for parts in names)

    def reality(self) -> Things:
        """What is there, by the files and rows themselves: no driver, ledger or audit is asked."""
        found = {
            (str(file.relative_to(self.state)), file.read_text())
            for top in ("world", "instances")
            for file in (self.state / top).rglob("[!.]*")
            if file.is_file() and file.name != "version.json"
        }
        with closing(record.opened(self.state / "slipway.db")) as database:
            for table, columns in TABLES.items():
                found |= {(table, str(row)) for row in database.execute(f"SELECT {columns} FROM {table}")}
            found |= {("free", str(each)) for each in free_addresses(database)}
        return frozenset(found)


def free_addresses(database: sqlite3.Connection) -> Iterator[tuple[str, int, int]]:
    """The free addresses of each subnet as ranges that do not touch; in which order they are given out is left out."""
    rows = database.execute("SELECT subnet_id, first, last FROM free_ranges ORDER BY subnet_id, first").fetchall()
    merged: list[tuple[str, int, int]] = []
    for subnet, first, last in ((subnet, int(first, 16), int(last, 16)) for subnet, first, last in rows):
        if merged and merged[-1][::2] == (subnet, first - 1):
            merged[-1] = (subnet, merged[-1][1], last)
        else:
            merged.append((subnet, first, last))
    yield from merged


def world_text(hosts: int, host: str, net: str) -> str:
    entries = "\n".join(f"  h{number}: {{{host}}}" for number in range(1, hosts + 1))
    return f"""
schema: 1
project: demo
hosts:
{entries}
networks:
  net:
    subnets:
      v4: {{cidr: 192.168.0.0/24}}
    ports:
      brought: {{fixed_ip: 192.168.0.20}}
{net}
"""


Maker = Callable[..., World]


@pytest.fixture
def make_world() -> Iterator[Maker]:
    """Makes worlds, in memory where there is a file system for it."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="slipway-") as directory:
        count = iter(range(10_000))

        def make(*, hosts: int = 3, host: str = HOST, net: str = "", remote: bool = False, **settings: Any) -> World:
            file = loads(world_text(hosts, host, net), "world.yaml")
            state = Path(directory) / str(next(count))
            world = World(state, file, remote, replace(file.settings, **settings))
            with world.open() as orchestrator:
                orchestrator.run(file)
            return world

        yield make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how our ends compare with Nova's and how many faults were tried, so that it can be quoted."""
    tested = [r for reports in terminalreporter.stats.values() for r in reports if isinstance(r, pytest.TestReport)]
    noted = [one for report in tested if report.when == "call" for one in report.user_properties]
    found = [value for name, value in noted if name == "nova"]
    if found:
        same = found.count("same")
        failed = len([report for report in tested if report.failed and "test_nova_faults" in report.nodeid])
        terminalreporter.write_line(
            f"Nova's observed faults: {same} ends the same, {len(found) - same} better by a named rule, {failed} worse"
        )
    if tried := sum(value for name, value in noted if name == "faults" and isinstance(value, int)):
        terminalreporter.write_line(f"Faults at every driver call: {tried} tried, one at a time")
