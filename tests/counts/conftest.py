"""One build after the other on one record, with all that SQLite is told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

import slipway
from slipway.model.record import Event
from slipway.runfile import loads
from slipway.states.store import Store

RUN_FILE = """
schema: 1
hosts:
  node-1: {vcpus: 400, memory: 400GiB, disk: 9000GiB, compute: sim}
  node-2: {vcpus: 400, memory: 400GiB, disk: 9000GiB, compute: sim}
networks:
  net: {subnets: {subnet: {cidr: 10.0.0.0/16}}}
flavors: {small: {vcpus: 1, memory: 64MiB, disk: 1GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  one-nic-one-disk: {flavor: small, image: tiny, networks: [net]}
  more: {flavor: small, image: tiny, networks: [net, net], disks: [1GiB], user_data: "#cloud-config"}
"""

BEFORE, BETWEEN = "before the steps", "between the steps"


@dataclass
class Record:
    """What SQLite is told: `told`, every statement with the step during which it came, transactions and all;
    `executed`, those of SQLAlchemy with their parameters; `turns`, how often SQLite went round a loop over rows.
    """

    state: Path
    told: list[tuple[str, str]] = field(default_factory=list)
    executed: list[tuple[str, Any]] = field(default_factory=list)
    turns: int = 0
    _step: str = BEFORE
    _number: int = 0

    def __post_init__(self) -> None:
        self._open()

    def reopen(self) -> None:
        """Go on as a new process would."""
        self.orchestrator.close()
        self._open()

    def _open(self) -> None:
        self._file = loads(RUN_FILE, str(self.state / "counts.yaml"))
        self.orchestrator = slipway.Orchestrator(self.state, settings=self._file.settings, store=self._store)
        # Drivers are made when they are first asked for, and the network's looks whether its tables are there.
        assert self.orchestrator.network is not None

    def run(self) -> None:
        """Bring about the whole file."""
        self.orchestrator.run(self._file, on_event=self._on_event)

    def build(self, like: str = "one-nic-one-disk") -> str:
        """Build an instance with a name of its own, recorded from here on; gives the name."""
        self._number += 1
        request = next(entry.request for entry in self._file.instances if entry.request.name == like)
        name = f"{like}-{self._number}"
        self.forget()
        self.orchestrator.create(replace(request, name=name), on_event=self._on_event)
        return name

    def forget(self) -> None:
        """Record from here on."""
        self._step = BEFORE
        self.told.clear()
        self.executed.clear()
        self.turns = 0

    def _on_event(self, event: Event) -> None:
        if event.type == "step.start":
            self._step = f"{event.step}/{event.slot}"
        elif event.type == "step.end":
            self._step = BETWEEN

    def _on_statement(self, text: str) -> None:
        """SQLite tells of a statement once more for each trigger that it sets off, and for each statement of that."""
        with_triggers = ("INSERT INTO effects", "UPDATE effects", "UPDATE instances")
        said_again = text.startswith(with_triggers) and self.told[-1:] == [(self._step, text)]
        if not said_again:
            self.told.append((self._step, text))

    def _on_turn(self) -> int:
        self.turns += 1
        return 0

    def _store(self, url: str) -> Store:
        store = Store(url, synchronous="OFF")

        @sa.event.listens_for(store.engine, "connect")
        def _on_connect(connection: Any, _record: object) -> None:
            connection.set_trace_callback(self._on_statement)
            connection.set_progress_handler(self._on_turn, 1)

        @sa.event.listens_for(store.engine, "before_cursor_execute")
        def _on_execute(_c: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
            self.executed.append((statement, parameters))

        store.close()
        return store


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A record on which both instances of the file were built."""
    made = Record(tmp_path)
    made.run()
    yield made
    made.orchestrator.close()
