"""Many builds on a few workers, while one of these is killed every few seconds and database and board are restarted."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event

from slipway import Instance
from slipway.errors import BoardUnavailable, BuildInterrupted, NotFinished, StoreError
from slipway.model.record import RecordedEvent
from tests.boards import Server
from tests.postgresql import PostgreSQL
from tests.waiting import until
from tests.workers.fleet import Fleet, request

WORKERS = ("one", "two", "three")


@dataclass
class Figures:
    """How it ended, and how many seconds passed from each death until somebody went on with what was in hand then."""

    ended: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    restarts: int = 0
    seconds: float = 0.0
    taken_over: list[float] = field(default_factory=list)
    differences: tuple[object, ...] = ()
    doubled: tuple[str, ...] = ()


def chaos(
    board: Server,
    database: PostgreSQL,
    url: str,
    state: Path,
    *,
    builds: int,
    every: float,
    seed: int = 1,
    apart: bool = False,
) -> Figures:
    """`every`: seconds between two deaths. `apart`: workers are in PID namespaces of their own, as on other machines,
    so that nobody can see that one is gone."""
    rng, figures = Random(seed), Figures()
    made = Fleet(board, state, hosts=("node-1", "node-2", "node-3"), delay=0.02, db=url, apart=apart)
    words = {name: ["--any", "--host", f"node-{number}"] for number, name in enumerate(WORKERS, 1)}
    # Each host has a second worker, or what was on it would wait for the first one to come back.
    words |= {f"{name}-b": ["--host", f"node-{number}"] for number, name in enumerate(WORKERS, 1)}
    deaths: list[tuple[float, set[str]]] = []
    names = [f"web-{number:03}" for number in range(builds)]
    stop = Event()
    try:
        for name, said in words.items():
            made.start(name, *said)
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            futures = [pool.submit(_built, made, name, stop) for name in names]
            while not _ended(futures, every):
                victim = rng.choice([*words])
                deaths.append((time.time(), _in_hand(made.log(victim))))
                made.end(victim, signal.SIGKILL)
                figures.kills += 1
                if figures.kills % 3 == 0:
                    database.stop()
                    database.start()
                    figures.restarts += 1
                if figures.kills % 4 == 0:
                    board.kill()
                    if figures.kills % 8 == 0:
                        board.lose_all()
                    board.start()
                    figures.restarts += 1
                _restart(made, victim, words[victim])
            figures.ended = Counter(one.result().vm_state for one in futures)
        figures.seconds = time.monotonic() - began
        with made.look() as seen:
            figures.differences = seen.audit()
            told = list(seen.events())
        figures.taken_over = sorted(_taken_over(deaths, told))
        figures.doubled = _doubled(told)
    finally:
        stop.set()
        made.close()
    return figures


def _ended(futures: list[Future[Instance]], seconds: float) -> bool:
    """Whether all have ended before so many seconds have passed; whatever one of them failed of leaves."""
    done, left = wait(futures, seconds, return_when=FIRST_EXCEPTION)
    for one in done:
        one.result()
    return not left


def _restart(made: Fleet, name: str, words: list[str]) -> None:
    """As a service manager does: until it stays."""
    while True:
        with suppress(AssertionError):
            made.start(name, *words)
            return


def _built(made: Fleet, name: str, stop: Event) -> Instance:
    """Whoever asks asks again, by the key: the database or the board may be away just then."""
    asked = request(name, key=name)

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise BuildInterrupted("the test has failed")

    def ask() -> Instance | None:
        try:
            with made.client(sleep) as client:
                return client.create(asked)
        except (StoreError, BoardUnavailable, NotFinished):
            time.sleep(0.3)
            return None

    found: Instance = until(ask, f"{name} is built")
    return found


def _in_hand(log: str) -> set[str]:
    """The instances that it took and has not let go of, by its own words."""
    held: set[str] = set()
    for line in log.splitlines():
        if found := re.match(r"takes (\S+):", line):
            held.add(found[1])
        elif found := re.match(r"(?:hands |lets go of )?(\S+?):? (?:is|on to|.*)", line):
            held.discard(found[1])
    return held


def _taken_over(deaths: list[tuple[float, set[str]]], told: list[RecordedEvent]) -> list[float]:
    gone_on = []
    for at, names in deaths:
        for name in names:
            later = [event.at.timestamp() for event in told if event.name == name and event.at.timestamp() > at]
            gone_on += [min(later) - at] if later else []
    return gone_on


def _doubled(told: list[RecordedEvent]) -> tuple[str, ...]:
    """The steps that were recorded as done twice without having been undone between."""
    done: set[tuple[object, ...]] = set()
    doubled = []
    for event in told:
        key = (event.instance_id, event.attempt, event.step, event.slot, event.host)
        if event.type == "step.done":
            if key in done:
                doubled.append(f"{event.name} {event.step}")
            done.add(key)
        elif event.type == "step.undone":
            done.discard(key)
    return tuple(doubled)
