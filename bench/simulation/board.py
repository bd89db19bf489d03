"""A job board that does what those of TaskFlow do: claims end, jobs are had twice, and all of it may be lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from bench.simulation.faults import Member
from bench.simulation.kernel import Kernel
from slipway.drivers.board import Board, Job, Posted
from slipway.errors import BoardUnavailable


@dataclass
class Claim:
    who: str
    until: float


@dataclass
class Hung:
    """A job as the server has it."""

    job: Job
    claim: Claim | None = None


@dataclass
class BoardServer:
    """What all reach."""

    kernel: Kernel
    jobs: dict[int, Hung] = field(default_factory=dict)
    count: count[int] = field(default_factory=count)
    away_until: float = 0.0
    looking: dict[str | None, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    """Who is told that there is something for a host, or for nobody's: none of them looks for nothing."""

    def stir(self, host: str | None) -> None:
        for tell in self.looking[host]:
            tell()

    def lose(self, *, claims_only: bool) -> None:
        """It was started anew with nothing, or with the jobs alone."""
        if claims_only:
            for hung in self.jobs.values():
                hung.claim = None
        else:
            self.jobs.clear()


class SimulatedBoard(Board):
    """The board as one process reaches it."""

    def __init__(self, server: BoardServer, member: Member, who: str, ttl: float) -> None:
        self._server = server
        self._member = member
        self.who = who
        self._lasts = ttl

    def post(self, job: Job) -> None:
        self._reach(f"post {job}")
        number = next(self._server.count)
        self._server.jobs[number] = Hung(job)
        self._server.stir(job.host)
        self._answer()

    def posted(self) -> Sequence[Posted]:
        self._reach("look at the board")
        return [Posted(hung.job, number) for number, hung in self._server.jobs.items()]

    def claim(self, posted: Posted) -> bool:
        self._reach(f"claim {posted.job}")
        hung = self._server.jobs.get(posted.handle)
        if hung is None or self._holder(hung) is not None:
            return False
        hung.claim = Claim(self.who, self._server.kernel.now + self._lasts)
        self._answer()
        return True

    def owner(self, posted: Posted) -> str | None:
        self._reach("ask for an owner")
        hung = self._server.jobs.get(posted.handle)
        return self._holder(hung) if hung else None

    def renew(self, posted: Posted) -> bool:
        self._reach("renew")
        hung = self._server.jobs.get(posted.handle)
        if hung is None or hung.claim is None or self._holder(hung) != self.who:
            return False
        hung.claim.until = self._server.kernel.now + self._lasts
        return True

    def consume(self, posted: Posted) -> None:
        self._reach(f"consume {posted.job}")
        if (hung := self._server.jobs.get(posted.handle)) and self._holder(hung) == self.who:
            del self._server.jobs[posted.handle]
        self._server.stir(posted.job.host)
        self._answer()

    def abandon(self, posted: Posted) -> None:
        self._reach(f"abandon {posted.job}")
        if (hung := self._server.jobs.get(posted.handle)) and self._holder(hung) == self.who:
            hung.claim = None
        self._server.stir(posted.job.host)

    def close(self) -> None:
        """Nothing is open."""

    def _holder(self, hung: Hung) -> str | None:
        claim = hung.claim
        return claim.who if claim and claim.until > self._server.kernel.now else None

    def _reach(self, what: str) -> None:
        self._member.outside.passes(what, 0.005)
        now = self._server.kernel.now
        if max(self._member.no_board_until, self._server.away_until) > now:
            raise BoardUnavailable("the board is out of reach")

    def _answer(self) -> None:
        if self._member.fragile and self._member.outside.draws("no answer"):
            raise BoardUnavailable("the board did not answer")
