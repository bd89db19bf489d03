"""Processes of Slipway's as the simulation runs them: the real ones, on a store, a board, drivers and threads of its
own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.simulation.board import BoardServer, SimulatedBoard
from bench.simulation.faults import Member
from bench.simulation.kernel import Kernel, Process, Strand
from bench.simulation.store import SimulatedStore
from slipway import Orchestrator
from slipway.drill.simulated import SimulatedDrivers
from slipway.drivers.board import Board, Posted
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing.wrapped import FaultyDrivers


class Simulated(Orchestrator):
    """What one process has."""

    def __init__(self, member: Member, state: Path, store: Store, server: BoardServer, settings: Settings) -> None:
        self._member, self._server = member, server

        def drivers(mine: Store, _settings: Settings, where: Path) -> FaultyDrivers:
            network = EmbeddedNetwork(mine, settings, rng=member.rng)
            return FaultyDrivers(SimulatedDrivers(network, where, member.sleep), where, member)

        super().__init__(
            state,
            store=lambda _url: SimulatedStore(store, member),
            drivers=drivers,
            settings=settings,
            clock=member.clock,
            monotonic=member.monotonic,
            sleep=member.sleep,
            rng=member.rng,
            board="simulated",
        )
        # What is made when it is first asked for is made under a lock, under which nobody else may go on.
        strand = member.outside.kernel.current
        strand.in_transaction += 1
        _ = self.network, self._builder, self.runs
        strand.in_transaction -= 1

    def _board(self, url: str, who: str, ttl: int) -> Board:
        return SimulatedBoard(self._server, self._member, who, ttl)


def work(made: Simulated, member: Member, *, name: str, hosts: tuple[str, ...], anything: bool, ttl: int) -> None:
    """Take work until the process is killed."""
    kernel, server = member.outside.kernel, made._server
    for host in (*hosts, *((None,) if anything else ())):
        server.looking[host].append(member.stir)
    try:
        with made.worker("simulated", name=name, hosts=hosts, anything=anything, ttl=ttl) as worker:
            worker.pool = lambda _most: Pool(kernel, member)
            worker.beat = partial(Beat, kernel, member)
            member.main, member.idle_for = kernel.current, ttl / 3
            worker.until(lambda: False)
    finally:
        for host in (*hosts, *((None,) if anything else ())):
            server.looking[host].remove(member.stir)


class Pool:
    """Strands of a process, each of which has something in hand."""

    def __init__(self, kernel: Kernel, process: Process) -> None:
        self._kernel, self._process = kernel, process

    def submit(self, call: Callable[[Posted], None], posted: Posted, /) -> Strand:
        return self._kernel.start(self._process, partial(call, posted))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing: who works here is killed in the end, and does not leave."""


class Beat:
    """A strand that calls something again and again."""

    def __init__(self, kernel: Kernel, process: Process, call: Callable[[], None], seconds: float) -> None:
        self._kernel, self._process = kernel, process
        self._call, self._seconds = call, seconds

    def __enter__(self) -> Any:
        self._kernel.start(self._process, self._beat, after=self._seconds)
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing: as of `Pool`."""

    def _beat(self) -> None:
        while True:
            self._call()
            self._kernel.sleep(self._seconds)
