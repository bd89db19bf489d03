"""One run of a drill: a fault, the recovery, and everything that must hold after it, after another run and a delete."""

from __future__ import annotations

import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from slipway.drill.attempts import attempt, difference, killed, stopped
from slipway.drill.auditor import audit
from slipway.drill.bench import NEIGHBOUR, Bench
from slipway.drill.cases import CRASHES, GOING, MAIN, Case, Scenario, cases_of, parse_fault
from slipway.drill.explore import Exploration, Stage, points_of
from slipway.drill.likeness import likeness
from slipway.drill.meanwhile import do
from slipway.drill.photos import Photo, photograph
from slipway.drill.problem import Problem
from slipway.drill.processes import DEADLINE, Overdue, deadline
from slipway.drill.promises import broken_promises, lasting_kinds
from slipway.drill.things import Row, Things, set_up
from slipway.drill.trace import Line
from slipway.testing import HANG_TIME, Fault, Mode
from slipway.texts import named


class Outcome(StrEnum):
    """How a run ended."""

    OK = "ok"
    """As without the fault."""
    ROLLED_BACK = "rolled back"
    """In ERROR, with nothing left."""
    RESUMED = "resumed"
    """Somebody went on with it, and it ended as without the fault."""
    STUCK = "stuck"
    """Something could not be undone, and all of it is listed."""
    LEAK = "LEAK"
    """An invariant is broken."""


class Result(Struct, frozen=True):
    """What became of one case: `ends` is the state of each instance before the delete.

    `same_as` names the case whose death left the very same files: what comes after it was carried out for both.
    """

    case: Case
    outcome: Outcome
    ends: Mapping[str, str]
    problems: tuple[Problem, ...]
    seconds: float
    trace: tuple[Line, ...]
    same_as: str = ""


Alike = tuple[Scenario, Mode | None, timedelta, str]
"""The scenario, the mode of the fault, by how much the clock was set, and the likeness of what there is at rest.

No mode where the process died of it: nothing but what there is came from it to those that go on.
"""
WentOn = dict[Alike, str]
"""The case that went on from there without a problem."""


class Runner:
    """Carries out cases on a bench, one after the other."""

    def __init__(self, bench: Bench, exploration: Exploration, kind: type[Run] | None = None) -> None:
        self._bench = bench
        self._kind = kind or Run
        self._stages = exploration.stages
        self._before = exploration.before
        self._families = {point.call: point.family for point in exploration.points}
        self._went_on: WentOn = {}

    def warm(self) -> None:
        """Run once without a fault, so that no later run pays for what is made once."""
        stage = next(stage for stage in self._stages.values() if stage.scenario in MAIN)
        stage.begin(self._bench)
        stage.go(self._bench)
        self._bench.delete()

    def run(self, cases: Iterable[Case]) -> Iterator[Result]:
        """Each case from where it begins to its verdict; those that begin with a death get their photos together."""
        cases = list(cases)
        of_files: dict[tuple[Path, bool], Result] = {}
        with self._album(cases) as photos:
            for case in cases:
                photo = photos.get((case.point.scenario, str(case.fault)))
                if photo is None or case.second:
                    yield self._run(case, photo)
                    continue
                left = photo.state, case.mode is Mode.REBOOT
                if left not in of_files:
                    yield of_files.setdefault(left, self._run(case, photo))
                else:
                    result = of_files[left]
                    yield replace(result, case=case, same_as=result.case.name, seconds=0.0)

    @contextmanager
    def _album(self, cases: Iterable[Case]) -> Iterator[Mapping[tuple[Scenario, str], Photo]]:
        deaths: dict[Scenario, dict[str, Fault]] = defaultdict(dict)
        for case in cases:
            if case.mode in CRASHES:
                deaths[case.point.scenario][str(case.fault)] = case.fault
        photos: dict[tuple[Scenario, str], Photo] = {}
        album = self._bench.state.with_name("photos")
        try:
            with self._bench.logged():
                for scenario, faults in deaths.items():
                    taken = photograph(self._bench, self._stages[scenario], faults.values(), album / scenario)
                    photos |= {(scenario, name): photo for name, photo in taken.items()}
            yield photos
        finally:
            shutil.rmtree(album, ignore_errors=True)

    def _run(self, case: Case, photo: Photo | None) -> Result:
        began = time.perf_counter()
        stage = self._stages[case.point.scenario]
        run = self._kind(self._bench, stage, self._before, case, self._families, photo, self._went_on)
        with self._bench.logged():
            run.go()
        return Result(
            run.case,
            run.outcome,
            run.ends,
            tuple(run.found),
            time.perf_counter() - began,
            tuple(self._bench.trace.lines),
        )


class Run:
    """One case on a bench: the fault, the recovery, and what is judged by whoever looks at it."""

    patience = HANG_TIME
    """After which a lease has passed."""

    def __init__(
        self,
        bench: Bench,
        stage: Stage,
        before: Things,
        case: Case,
        families: Mapping[str, str],
        photo: Photo | None,
        went_on: WentOn,
    ) -> None:
        """`families`: of the driver of each call; `photo`: what a death has left; `went_on`: who went on from where."""
        self.bench, self.stage, self.before, self.case, self.families = bench, stage, before, case, families
        self.photo, self.went_on = photo, went_on
        self.lasting = [stage.base.fault] if stage.base and stage.base.every_host else []
        self.found: list[Problem] = []
        self.outcome = Outcome.OK
        self.ends: dict[str, str] = {}
        self.resumed = False

    def go(self) -> None:
        """From where it begins to the verdict."""
        bench = self.bench
        if self.photo is not None:
            self.photo.put(bench)
        else:
            also = partial(do, self.case.variant, bench)
            self.stage.begin(bench, replace(self.case.fault, also=also) if self._meanwhile else self.case.fault)
        try:
            with deadline():
                self._act()
                if self.case.second:
                    self._second()
                self._recover()
                self._go_on(self._judge())
        except Overdue:
            self._problem("A1", f"it did not come to rest within {DEADLINE} seconds")
        except Exception as error:  # noqa: BLE001 - whatever the recovery raises is a finding
            self._problem("A1", f"going on failed: {named(error)}")
        if self.found:
            self.outcome = Outcome.LEAK

    # --- the fault ----------------------------------------------------------------------------------------------

    def _act(self) -> None:
        if self.case.mode in CRASHES:
            self._died()
        elif self.case.mode is Mode.PAUSE:
            self.resumed = True
            self._paused()
        else:
            attempt(self.bench, self._action)
        if not any(kind == "fault" and text == str(self.case.fault) for _, kind, text in self.bench.trace.lines):
            self._problem("A9", "the fault did not go off")

    def _action(self) -> None:
        self.stage.go(self.bench)

    def _died(self) -> None:
        """It has happened before: the photo shows what is left. Without one the process did not come to that point."""
        self.resumed = True
        self.bench.reseed(f"{len(self.bench.trace.lines)} lines later")
        self.bench.trace.write("drill", "the process is gone")
        if self.case.mode is Mode.REBOOT:
            self._other_boot()

    def _other_boot(self) -> None:
        """Have it that the worker was of another boot: nobody can see that it is gone, so its lease must pass first."""
        bench = self.bench
        bench.rest()
        held = bench.record.execute("SELECT id, worker FROM instances WHERE worker IS NOT NULL")
        for instance_id, worker in held:
            lease = msgspec.json.decode(worker)
            lease["worker"]["boot"] = "another"
            text = msgspec.json.encode(lease).decode()
            bench.record.execute("UPDATE instances SET worker = ? WHERE id = ?", text, instance_id)
        if held:
            before = bench.look().fingerprint
            bench.arm(*self.lasting)
            bench.resume()
            if changed := difference(before, bench.look().fingerprint):
                self._problem("A2", f"before the lease of another boot's worker has passed, resume changed {changed}")
        bench.faults.clock.ahead += self.patience

    def _paused(self) -> None:
        """Stop the worker, let another one take over when its lease has passed, then let the first one go on."""
        bench = self.bench
        with stopped(bench, self._action, self.patience) as worker:
            if worker is None:
                self._problem("A9", "the process was to be stopped and was not")
                return
            bench.arm(*self.lasting)
            bench.resume()
            taken_over = bench.look()
        if worker.status:
            self._problem("A1", f"the worker that woke up ended with status {worker.status}")
        ids = [row["id"] for row in taken_over.rows["instances"]]
        before, after = taken_over.bearing(ids), bench.look().bearing(ids)
        # The one call that was under way may still reach the world, and put a file in its own place.
        changed = difference(before, after, besides="file ") if self._begun(taken_over) else ""
        if changed:
            self._problem("A2", f"the worker that was replaced still changed {changed}")

    def _begun(self, now: Things) -> bool:
        """Whether there is anything that another worker can take over."""
        return True

    def _second(self) -> None:
        """The recovery has a fault of its own: the one that the case names, or one drawn from what it does."""
        if self.case.second.startswith("?"):
            self.case = replace(self.case, second=self._drawn(int(self.case.second[1:])))
        if not self.case.second:
            return
        second = parse_fault(self.case.second, self.families.get(self.case.second.partition(":")[0], ""))
        self.bench.arm(*self.lasting, second)
        if second.mode in CRASHES:
            if not killed(self.bench, self.bench.resume):
                self._problem("A9", "the process was to die and did not")
        else:
            attempt(self.bench, self.bench.resume)
            if not self.bench.faults.hits[str(second)]:
                self._problem("A9", "the second fault did not go off")

    def _drawn(self, seed: int) -> str:
        """A fault of the recovery, found by recovering once and putting everything back as it was."""
        bench = self.bench
        kept, lines = bench.state.with_name("kept"), bench.trace.lines
        bench.rest()
        bench.copy(kept)
        bench.arm(*self.lasting)
        bench.resume()
        points = points_of(bench.trace.lines[len(lines) :])
        bench.rest()
        bench.replace(kept)
        shutil.rmtree(kept)
        bench.forget()
        modes = frozenset(Mode) - {Mode.PAUSE, Mode.HANG, Mode.REBOOT, Mode.MEANWHILE}
        cases = list(cases_of(points, modes))
        return random.Random(seed).choice(cases).name if cases else ""

    # --- the recovery -------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        bench = self.bench
        bench.arm(*self.lasting)
        bench.trace.write("drill", "resume")
        before = len(bench.trace.lines)
        bench.resume()
        if any(kind == "event" for _, kind, _ in bench.trace.lines[before:]):
            self.resumed = True

    def _judge(self) -> Things:
        """Look at where it came to rest; gives what there is."""
        now = self.bench.look()
        self._audit(now, "after the recovery")
        rows = self._rows(now)
        self.ends = {name: row["vm_state"] for name, row in rows.items()}
        self.found += broken_promises(self.case, self.stage, rows, now)
        as_ever = self.ends == dict(self.stage.ends)
        if now.stuck:
            self.outcome = Outcome.STUCK
        elif self.resumed and as_ever:
            self.outcome = Outcome.RESUMED
        elif "ERROR" in self.ends.values():
            self.outcome = Outcome.ROLLED_BACK
        self.bench.trace.write(
            "drill", f"at rest: {', '.join(f'{n} is {s}' for n, s in self.ends.items()) or 'nothing'}"
        )
        return now

    def _audit(self, now: Things, when: str, *, stuck: bool = False) -> None:
        """`stuck`: what could not be undone may stand beside an instance that is whole."""
        before = set_up(now) if self.stage.scenario in (Scenario.PREPARE, Scenario.DESTROY) else self.before
        if self._meanwhile:
            before = before.without([row for row in now.rows["instances"] if row["name"] == NEIGHBOUR])
        plan = self.bench.plan
        more = {"lasting": lasting_kinds(), "inverted": self.bench.inverted, "finals": self.bench.finals}
        for problem in audit(now, before, secret=plan.secret, log=self.bench.written, stuck=stuck, **more):
            self._problem(problem.invariant, f"{when}: {problem.text}")

    def _go_on(self, now: Things) -> None:
        """Do it again, then delete: once for all whose fault was of one mode and that have come to rest alike."""
        mode = None if self.case.mode in CRASHES else self.case.mode
        alike = self.stage.scenario, mode, self.bench.faults.clock.set_by, likeness(now, self.before)
        if not self.found and alike in self.went_on:
            self.bench.trace.write("drill", f"from here on as {self.went_on[alike]}, which came to rest alike")
            return
        self._again(now)
        self._delete()
        if not self.found:
            self.went_on[alike] = self.case.name

    def _again(self, before: Things) -> None:
        """Doing the same again changes nothing where it ended, and ends where it did not (A7)."""
        bench = self.bench
        bench.trace.write("drill", "again")
        bench.arm(*self.lasting)
        if self._meanwhile:
            # A run mends what others have done to its instances: after that there is nothing to do.
            self._action()
            before = bench.look()
        self._action()
        now = bench.look()
        if self.stage.scenario not in GOING and set(self.ends) == set(bench.names):
            changed = difference(before.fingerprint, now.fingerprint)
            if changed:
                self._problem("A7", f"running it again changed {changed}")
            return
        ends = {name: row["vm_state"] for name, row in self._rows(now).items()}
        if ends != dict(self.stage.ends):
            self._problem("A7", f"running it again ended {ends}, without the fault it is {dict(self.stage.ends)}")
        self._audit(now, "after running it again")

    def _delete(self) -> None:
        """Delete leaves nothing, and everything that was taken can be taken again (A11)."""
        bench = self.bench
        bench.trace.write("drill", "delete")
        bench.arm()
        if self.stage.scenario is Scenario.DESTROY:
            bench.destroy()
        else:
            bench.delete()
        now = bench.look()
        left = set_up(now).by_name if self.stage.scenario is Scenario.DESTROY else {}
        for name, content in left.items():
            # A project's default group stays for ever, as in Neutron.
            if not name.startswith("security_group_rules") and '"name":"default"' not in content:
                self._problem("A11", f"{name} is left by a destroy without a fault")
        for row in now.rows["instances"]:
            if row["name"] in bench.names and row["vm_state"] != "DELETED":
                self._problem("A11", f"instance {row['name']} is {row['vm_state']} after a delete without a fault")
        self._audit(now, "after the delete")

    @property
    def _meanwhile(self) -> bool:
        return self.case.mode is Mode.MEANWHILE

    def _rows(self, now: Things) -> Mapping[str, Row]:
        """The last row of each drilled instance."""
        return {row["name"]: row for row in now.rows["instances"] if row["name"] in self.bench.names}

    def _problem(self, invariant: str, text: str) -> None:
        self.found.append(Problem(invariant, text))
        self.bench.trace.write("problem", f"{invariant}: {text}")
