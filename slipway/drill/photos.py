"""What a process leaves that dies at a fault point: taken from outside, while a scenario's run is stopped there.

One process carries out the scenario and is stopped at each point, before its call and after it; there its files are
copied as SIGKILL would leave them, and it goes on to the next one. So a thousand deaths cost one life.
"""

from __future__ import annotations

import filecmp
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slipway.drill.bench import Bench
from slipway.drill.explore import Stage
from slipway.drill.processes import stand_still, stops
from slipway.drill.trace import Line
from slipway.testing import Fault

STOPPED = "stopped"
"""The kind of line of a trace that tells where the process stands."""


@dataclass(frozen=True)
class Photo:
    """The state directory, the log and the trace of a process at one point."""

    state: Path
    log: str
    lines: Sequence[Line]
    at: datetime
    """When it was taken, by the time of day."""

    def put(self, bench: Bench) -> None:
        """Have the bench as if a process had just died there: on a busy machine the leases of a photo would pass before
        its turn comes."""
        bench.load(self.state)
        bench.faults.clock.ahead = self.at - datetime.now(UTC)
        bench.log.clear(self.log)
        bench.trace.clear(self.lines)


def photograph(bench: Bench, stage: Stage, deaths: Collection[Fault], album: Path) -> Mapping[str, Photo]:
    """Carry out a scenario in a process that dies in the end; gives a photo of each death that it came to, by its name.

    The photos lie in `album` until somebody removes it. Where nothing has changed since the one before, they are one.
    """
    photos: dict[str, Photo] = {}
    names = {str(death) for death in deaths}
    state: Path | None = None
    stage.begin(bench, *deaths)
    bench.rest()

    def victim() -> None:
        bench.faults.die = lambda fault: _stop(bench, fault)
        stage.go(bench)

    with closing(stops(victim)) as standing:
        for _ in standing:
            *lines, (_, _, name) = bench.trace.lines
            others = names - {name}
            kept = [line for line in lines if line[1] != STOPPED and not (line[1] == "fault" and line[2] in others)]
            bench.record.keep()
            if state is None or not _equal(bench.state, state):
                state = bench.copy(album / str(len(photos)))
            photos[name] = Photo(state, bench.log.read().decode(), kept, datetime.now(UTC))
            if len(photos) == len(names):
                break
    return photos


def _stop(bench: Bench, fault: Fault) -> None:
    bench.trace.write(STOPPED, str(fault))
    bench.keep()
    stand_still()


def _equal(left: Path, right: Path) -> bool:
    """Whether the files are the same, but for SQLite's index of its log: it is made anew where nobody has it open."""
    compared = filecmp.dircmp(left, right, ignore=["slipway.db-shm"])
    files = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    return not (compared.left_only or compared.right_only or compared.funny_files or files[1] or files[2]) and all(
        _equal(left / name, right / name) for name in compared.common_dirs
    )
