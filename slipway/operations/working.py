"""A worker put together: what it does itself, what it posts for others, and on which hosts alone it acts."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from slipway.drivers.board import Board
from slipway.flows.conductor import Conductor
from slipway.flows.runs.conductor import RunConductor
from slipway.flows.tasks.base import Task, Tools
from slipway.model.record import Event
from slipway.model.worker import WorkerRecord
from slipway.operations.hosts import check_here
from slipway.operations.lifecycle import Builder
from slipway.operations.rebuild import Builds
from slipway.operations.runs import Runs
from slipway.operations.work import Work
from slipway.states import hosts, workers
from slipway.states.worker import this_worker


def make_work(
    board: Board,
    posting: Builder,
    tools: Tools,
    tasks: Mapping[str, Task],
    change_power: Callable[..., None],
    *,
    name: str,
    hosts: tuple[str, ...],
    anything: bool,
    concurrency: int,
    ttl: int,
    tell: Callable[[str], None],
    notify: Callable[[Event], None],
    rng: random.Random,
    asked_by: str,
) -> Work:
    """`posting`: by which workflows have something done to instances."""
    builder = Builder(Conductor(tools, change_power, tasks), tools, rng=rng, asked_by=asked_by, anywhere=True)
    runs = Runs(tools, RunConductor(tools, tasks), Builds(posting, tools), rng=rng, asked_by=asked_by)
    now, process = tools.clock(), workers.text_of(this_worker())
    record = WorkerRecord(process, name, hosts, anything, concurrency, False, (), now, now)
    return Work(board, builder, runs, tools, record, ttl=ttl, tell=tell, notify=notify)


def only(tools: Tools, names: Sequence[str]) -> None:
    """Have nothing done from here but on these hosts, and instances placed on all that any worker serves.

    Raises `HostNotFound`, and `HostElsewhere` for one that belongs to another place.
    """
    with tools.store.read() as tx:
        check_here(tx, [hosts.get(tx, name).name for name in names], tools.drivers)

    def served() -> frozenset[str]:
        with tools.store.read() as tx:
            return workers.served(tx, workers.now(tx, tools.clock))

    tools.drivers.only = frozenset(names)
    tools.drivers.served = served
