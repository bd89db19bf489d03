"""Builds a second with 1, 2 and 4 workers on PostgreSQL beside the bare commits; how soon what a killed
worker had goes on, idle and behind a backlog, on each kind of board."""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from bench.common import table, tell
from slipway.errors import NotFinished
from tests.boards import KINDS, Server, running
from tests.postgresql import PostgreSQL, started
from tests.waiting import until
from tests.workers.fleet import Fleet, request

COMMITS = 11
"""Of a build on one machine (tests/counts)."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    parser.add_argument("--builds", type=int, default=100, help="builds of each fleet (default 100)")
    parser.add_argument(
        "--backlog", type=int, default=200, help="builds that wait when a worker is killed (default 200)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="deaths of each kind (default 3)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    with started({"fsync": "on"}) as database, tempfile.TemporaryDirectory() as place:
        rates = [{"what": "bare commits", "a second": _bare(database, options.builds)}]
        with running("redis", Path(place) / "board") as board:
            for number in (1, 2, 4):
                rate = _rate(board, database, Path(place) / f"state-{number}", number, options.builds)
                rates.append({"what": f"{number} workers", "a second": rate})
        deaths = []
        for kind in KINDS:
            with running(kind, Path(place) / f"{kind}-board") as board:
                for backlog in (0, options.backlog):
                    states = [Path(place) / f"{kind}-{backlog}-{at}" for at in range(options.rounds)]
                    seconds = [_death(board, database, state, backlog) for state in states]
                    deaths.append(
                        {"board": kind, "backlog": backlog, "median s": median(seconds), "most s": max(seconds)}
                    )
    text = "\n\n".join(table(list(rows[0]), [list(row.values()) for row in rows]) for rows in (rates, deaths))
    tell({"rates": rates, "deaths": deaths}, text, as_json=options.json)


def _bare(database: PostgreSQL, builds: int) -> float:
    """Builds a second, if they were nothing but their commits."""
    engine = sa.create_engine(database.empty())
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TABLE bare (n integer)"))
        connection.commit()
        began = time.perf_counter()
        for number in range(builds * COMMITS):
            connection.execute(sa.text("INSERT INTO bare VALUES (:n)"), {"n": number})
            connection.commit()
        seconds = time.perf_counter() - began
    engine.dispose()
    return builds / seconds


def _posted(fleet: Fleet, names: list[str]) -> None:
    """Instances on record and on the board, that nobody waits for."""
    with fleet.client() as client:
        for name in names:
            with suppress(NotFinished):
                client._builder.create(request(name), str, workflow="build-instance", stopping=lambda: True)


def _rate(board: Server, database: PostgreSQL, state: Path, number: int, builds: int) -> float:
    fleet = Fleet(board, state, hosts=[f"node-{at}" for at in range(number)], db=database.empty())
    try:
        _posted(fleet, [f"web-{at}" for at in range(builds)])
        for at in range(number):
            fleet.start(f"worker-{at}", "--any", "--host", f"node-{at}", "--concurrency", "8")
        with fleet.look() as seen:
            until(lambda: all(one.vm_state == "ACTIVE" for one in seen.list()), "all are built")
            ended = sorted(one.at for one in seen.events() if one.type == "instance.finish")
    finally:
        fleet.close()
    # Workers begin one after the other: what the first ones did alone is not counted.
    rest = ended[len(ended) // 3 :]
    return (len(rest) - 1) / (rest[-1] - rest[0]).total_seconds()


def _death(board: Server, database: PostgreSQL, state: Path, backlog: int) -> float:
    """Seconds from the death of a worker to when another one of its host has what it had in hand."""
    fleet = Fleet(board, state, hosts=["node-1"], delay=2.0, db=database.empty(), apart=True)
    try:
        fleet.start("any", "--any")
        fleet.start("first", "--host", "node-1", "--concurrency", "1")
        _posted(fleet, ["victim"])
        until(lambda: "takes victim" in fleet.log("first"), "it is taken")
        _posted(fleet, [f"web-{at}" for at in range(backlog)])
        fleet.start("second", "--host", "node-1", "--concurrency", "1")
        fleet.end("first", signal.SIGKILL)
        died = time.monotonic()
        until(lambda: "takes victim" in fleet.log("second"), "it goes on")
        return time.monotonic() - died
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
