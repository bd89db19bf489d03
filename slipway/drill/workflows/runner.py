"""One run of a workflow's drill: a fault, the recovery, what must hold then, and that all of it is taken back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial

import msgspec
from msgspec.structs import replace

from slipway.drill.attempts import attempt, difference, killed, stopped
from slipway.drill.auditor import audit
from slipway.drill.cases import CRASHES, Case, parse_fault
from slipway.drill.problem import Problem
from slipway.drill.processes import DEADLINE, Overdue, deadline
from slipway.drill.promises import lasting_kinds
from slipway.drill.runner import Outcome, Result
from slipway.drill.things import Things
from slipway.drill.workflows.bench import FlowBench, nothing
from slipway.drill.workflows.cases import second_fault
from slipway.drill.workflows.checks import (
    bearing,
    cause,
    deleted,
    fingerprint,
    no_likeness,
    of_the_record,
    secrets,
    standing,
)
from slipway.drill.workflows.explore import Exploration, Stage
from slipway.drill.workflows.meanwhile import do
from slipway.drill.workflows.plan import made
from slipway.states.run_machine import RunState
from slipway.testing import COMMIT, Mode
from slipway.testing.tasks import WITHIN
from slipway.texts import named, some

_RAISING = (Mode.ERROR, Mode.LOST_REPLY)
_BACK = frozenset({"FAILED", "CANCELLED"})
_LONG = timedelta(days=3650)
"""After which a lease has passed also of who has slept meanwhile, by a clock of its own."""
_SHOWN = 5
"""How many things a problem names."""


class FlowRunner:
    """Carries out cases on a bench, one after the other: outside they all meet the same world."""

    def __init__(self, bench: FlowBench, exploration: Exploration) -> None:
        self._bench, self._exploration = bench, exploration
        self._stages = {stage.scenario: stage for stage in exploration.stages}

    def run(self, cases: Iterable[Case]) -> Iterator[Result]:
        """Each case from where it begins to its verdict."""
        for case in cases:
            began = time.perf_counter()
            run = _FlowRun(self._bench, self._exploration, self._stages[case.point.scenario], case)
            with self._bench.logged():
                run.go()
            seconds = time.perf_counter() - began
            yield Result(run.case, run.outcome, run.ends, tuple(run.found), seconds, tuple(self._bench.trace.lines))


class _FlowRun:
    def __init__(self, bench: FlowBench, exploration: Exploration, stage: Stage, case: Case) -> None:
        self.bench, self.exploration, self.stage, self.case = bench, exploration, stage, case
        self.found: list[Problem] = []
        self.outcome = Outcome.OK
        self.ends: dict[str, str] = {}
        self.resumed = False
        self.there = Counter[str]()

    def go(self) -> None:
        bench = self.bench
        try:
            with deadline():
                self.there = bench.flow.seen()
                self.stage.begin(bench, self.exploration.template, self.case.name)
                also = partial(do, self.case.variant, bench)
                meanwhile = self.case.mode is Mode.MEANWHILE
                bench.arm(replace(self.case.fault, also=also) if meanwhile else self.case.fault)
                self._act()
                if self.case.second:
                    self._second()
                self._recover()
                self._judge()
                self._take_back()
        except Overdue:
            self._problem("A1", f"it did not come to rest within {DEADLINE} seconds")
        except Exception as error:  # noqa: BLE001 - whatever the recovery raises is a finding
            self._problem("A1", f"going on failed: {named(error)}")
        finally:
            bench.before = nothing
        if self.found:
            self.outcome = Outcome.LEAK

    # --- the fault ------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        bench = self.bench
        if self.case.mode in CRASHES:
            self.resumed = True
            if not killed(bench, self._action) and self._must_come:
                self._problem("A9", "the process was to die and did not")
            if self.case.mode is Mode.REBOOT:
                self._other_boot()
        elif self.case.mode is Mode.PAUSE:
            self.resumed = True
            self._replaced()
        else:
            attempt(bench, self._action)
        fault = str(self.case.fault)
        if self._must_come and not any(line[1:] == ("fault", fault) for line in bench.trace.lines):
            self._problem("A9", "the fault did not go off")

    @property
    def _must_come(self) -> bool:
        """Whether each run comes to the point: how many changes a call makes depends on what was there."""
        return self.case.point.family != WITHIN

    def _action(self) -> None:
        self.stage.go(self.bench)

    def _replaced(self) -> None:
        """Another worker takes the run over; then the first one wakes up, and is to change nothing on record."""
        bench = self.bench
        with stopped(bench, self._action, _LONG) as worker:
            if worker is None:
                self._problem("A9", "the process was to be stopped and was not")
                return
            bench.arm()
            bench.resume()
            taken_over = bench.look()
        if worker.status:
            self._problem("A1", f"the worker that woke up ended with status {worker.status}")
        if changed := difference(fingerprint(taken_over), fingerprint(bench.look()), besides="file "):
            self._problem("A2", f"the worker that was replaced still changed {changed}")

    def _other_boot(self) -> None:
        """Have it that the worker was of another boot: nobody can see that it is gone, so its lease must pass first."""
        bench = self.bench
        bench.rest()
        held = [
            (table, *row)
            for table in ("runs", "instances")
            for row in bench.record.execute(f"SELECT id, worker FROM {table} WHERE worker IS NOT NULL")
        ]
        for table, owner, worker in held:
            lease = msgspec.json.decode(worker)
            lease["worker"]["boot"] = "another"
            text = msgspec.json.encode(lease).decode()
            bench.record.execute(f"UPDATE {table} SET worker = ? WHERE id = ?", text, owner)
        if held:
            # An instance that nobody holds may be gone on with before the run that it belongs to.
            owners = [owner for _, owner, _ in held]
            before = bearing(bench.look(), owners)
            bench.arm()
            bench.resume()
            if changed := difference(before, bearing(bench.look(), owners)):
                self._problem("A2", f"before the lease of another boot's worker has passed, resume changed {changed}")
        bench.faults.clock.ahead += _LONG

    def _second(self) -> None:
        """The recovery has a fault of its own, the one that the case names or one that is drawn; a drawn one need not
        be come to, since a recovery has not all of the calls."""
        bench, drawn = self.bench, self.case.second.startswith("?")
        if drawn:
            found = second_fault(self.stage.points, self.case.point, int(self.case.second[1:]))
            self.case = replace(self.case, second=found)
        if not self.case.second:
            return
        call = self.case.second.partition(":")[0]
        family = next((point.family for point in self.stage.points if point.call == call), "")
        second = parse_fault(self.case.second, family)
        bench.arm(second)
        if second.mode in CRASHES:
            went_off = killed(bench, self._resume)
        else:
            attempt(bench, self._resume)
            went_off = bool(bench.faults.hits[str(second)])
        if not went_off and not drawn:
            self._problem("A9", "the second fault did not go off")

    def _resume(self) -> None:
        self.bench.resume()
        self._action()

    # --- the recovery ---------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Go on with what was left, then do the same again: nobody knows whether it was heard the first time."""
        bench = self.bench
        bench.arm()
        bench.trace.write("drill", "resume")
        before = len(bench.trace.lines)
        bench.resume()
        self._action()
        self.resumed |= any(kind == "event" for _, kind, _ in bench.trace.lines[before:])
        rested = fingerprint(bench.look())
        bench.trace.write("drill", "again")
        self._action()
        if changed := difference(rested, fingerprint(bench.look())):
            self._problem("A7", f"doing it again changed {changed}")

    def _judge(self) -> None:
        """Look at where it came to rest."""
        bench, now = self.bench, self.bench.look()
        run = bench.run_drilled
        if run is None:
            self._problem("A1", "the run is not on record")
            return
        self.ends = {run.name: run.state}
        bench.trace.write("drill", f"at rest: {run.name} is {run.state}")
        self._promises(run.state, now)
        self._audit(now, "after the recovery", stands=run.state not in _BACK)
        self._outside(run.state, now)
        if run.state == RunState.STUCK:
            self.outcome = Outcome.STUCK
        elif self.resumed and run.state == self.stage.ends:
            self.outcome = Outcome.RESUMED
        elif run.state in _BACK and run.state != self.stage.ends:
            self.outcome = Outcome.ROLLED_BACK

    def _promises(self, state: str, now: Things) -> None:
        case, stage = self.case, self.stage
        if case.second or case.mode is Mode.MEANWHILE:
            # Two faults together, or two people, may end in every way that leaves nothing.
            return
        lost = case.mode not in (*_RAISING, Mode.HANG) or case.point.call == COMMIT or case.variant == "exit"
        allowed = {stage.ends}
        if not lost:
            allowed |= {"STUCK", "FAILED"} if case.point.undoing else {"FAILED", "PAUSED"}
        if state not in allowed:
            self._problem("A1", f"it ends {state}, without the fault {stage.ends}: {cause(now)}")
        changed = {point for point, one in standing(now) if one == "done"} ^ stage.done
        if state in _BACK:
            # Of what is not taken back nobody asks whether it was done.
            changed -= self.exploration.lasting
        if lost and state == stage.ends and changed:
            names = ", ".join(sorted(changed))
            self._problem("A3", f"it ends {state}, and other effects stand than without the fault: {names}")
        first = stage.cause or (f"injected {case.name}" if case.mode in _RAISING and not lost else "")
        if state in ("FAILED", "STUCK") and first and first not in cause(now):
            self._problem("A6", f"the first error was '{first}', on record is '{cause(now)}'")

    def _outside(self, state: str, now: Things) -> None:
        """What it has made outside: as many things as without the fault where it stands, none where it does not."""
        if state in _BACK:
            self._nothing_left("after the recovery")
            return
        found = made(self.there, self.bench.flow.seen())
        whole = self.stage.ends == RunState.SUCCEEDED and state == self.stage.ends
        if not whole or self.stage.done != {point for point, one in standing(now) if one == "done"}:
            return
        most, least = self.exploration.most, self.exploration.least
        if found.total() > most:
            self._problem("A3", f"it made {found.total()} things outside, without the fault {most}: {_names(found)}")
        elif found.total() < least:
            self._problem("A3", f"it made {found.total()} things outside, without the fault {least}: {_names(found)}")

    def _nothing_left(self, when: str) -> None:
        now = self.bench.flow.seen()
        left, gone = made(self.there, now), made(now, self.there)
        if left.total() > self.exploration.most - self.exploration.least:
            self._problem("A11", f"{when}: outside is left {_names(left)}")
        if gone:
            self._problem("A8", f"{when}: outside was before, and is gone {_names(gone)}")

    def _take_back(self) -> None:
        """All is undone, and nothing is left."""
        bench = self.bench
        bench.before = nothing
        bench.trace.write("drill", "take back")
        bench.arm()
        bench.take_back()
        run, now = bench.run_drilled, bench.look()
        if run is not None and run.state not in _BACK:
            self._problem("A11", f"taken back without a fault it is {run.state}: {cause(now)}")
            return
        self._audit(now, "taken back", stands=False)
        self._nothing_left("taken back")

    def _audit(self, now: Things, when: str, *, stands: bool) -> None:
        lasting = self.exploration.lasting
        found = [*of_the_record(now, lasting)]
        found += secrets(now, self.bench.flow.secrets, self.bench.written)
        before = self.exploration.before
        others = self.case.mode is Mode.MEANWHILE
        if not stands or others:
            were = deleted(now, before, by_others=others)
            found += () if others else no_likeness(now, were)
            before = before.without([row for row in now.rows["instances"] if row["id"] in {one["id"] for one in were}])
        world = audit(now, before, lasting=lasting_kinds())
        # While it stands it may have changed what was there: that is what it is for.
        found += [one for one in world if not (stands and one.invariant == "A8")]
        for problem in found:
            self._problem(problem.invariant, f"{when}: {problem.text}")

    def _problem(self, invariant: str, text: str) -> None:
        self.found.append(Problem(invariant, text))
        self.bench.trace.write("problem", f"{invariant}: {text}")


def _names(things: Counter[str]) -> str:
    names = sorted(things.elements())
    return some(names, _SHOWN)
