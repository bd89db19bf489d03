"""One run of a verb's drill: the instances are what they were or what they were to become, and nothing is left over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from slipway.drill.cases import CRASHES, Scenario
from slipway.drill.runner import Outcome, Run
from slipway.drill.things import Row, Things
from slipway.drill.verbs.explore import VerbStage
from slipway.drill.verbs.shape import powerless, shape, sizeless, told
from slipway.testing import COMMIT, Mode

_SET = frozenset({Mode.CLOCK_FORWARD, Mode.CLOCK_BACK})


class VerbRun(Run):
    """As that of a build, but for what is asked of where it comes to rest, and what comes after it."""

    stage: VerbStage
    patience = timedelta(days=3650)

    def _judge(self) -> Things:
        """Look at where it came to rest; what is stuck there must be listed, and goes with a repair."""
        now = self.bench.look()
        if self.stage.damaged and not self._goes_on(now) and shape(now, self.before) != self.stage.becomes:
            self.outcome = Outcome.ROLLED_BACK
            now = self._repaired() if now.stuck else self._once_more()
        else:
            late = self.case.mode is Mode.PAUSE and self.stage.scenario is Scenario.BACK
            if not late:
                self._audit(now, "after the recovery", stuck=True)
            elif shape(now, self.before) not in (self.stage.was, self.stage.becomes):
                # The one call of an undo that was under way has ended a guest that runs again.
                now = self._repaired()
            if now.stuck:
                self.outcome = Outcome.STUCK
                now = self._repaired()
            self._whole_or_not_at_all(now)
        self._audit(now, "after what was left is mended")
        self.ends = {name: row["vm_state"] for name, row in self._rows(now).items()}
        self.bench.trace.write("drill", f"at rest: {', '.join(f'{n} is {s}' for n, s in self.ends.items())}")
        return now

    def _whole_or_not_at_all(self, now: Things) -> None:
        found, stage = shape(now, self.before), self.stage
        if found not in (stage.was, stage.becomes) and sizeless(found) != sizeless(stage.was):
            between = stage.in_between and powerless(found) == powerless(stage.was)
            if not stage.several and not between:
                self._problem("A3", f"it is neither what it was nor what it was to be: {told(found, stage.becomes)}")
                return
        if self._goes_on(now) and found != stage.becomes:
            self._problem("A1", f"it is not what it is without the fault: {told(found, stage.becomes)}")
        if self.outcome is Outcome.OK and found != stage.becomes:
            self.outcome = Outcome.ROLLED_BACK
        elif self.outcome is Outcome.OK and self.resumed:
            self.outcome = Outcome.RESUMED

    def _goes_on(self, now: Things) -> bool:
        """Whether it comes about in spite of the fault: it is on record, and the call itself has not failed."""
        stage, case = self.stage, self.case
        if stage.scenario is not Scenario.FORWARD or case.second or stage.several:
            return False
        lost = case.mode in {*CRASHES, Mode.PAUSE} or case.point.call == COMMIT or case.variant == "exit"
        return case.mode in _SET or (lost and self._begun(now))

    def _begun(self, now: Things) -> bool:
        return any(row["id"] not in self.stage.runs for row in now.rows["runs"])

    def _once_more(self) -> Things:
        self.bench.trace.write("drill", "again")
        self.bench.arm()
        self._action()
        now = self.bench.look()
        return self._repaired() if now.stuck else now

    def _repaired(self) -> Things:
        self.bench.trace.write("drill", "repair")
        self.bench.arm()
        self.bench.mend()
        return self.bench.look()

    def _again(self, before: Things) -> None:
        """What has come to nothing comes about when it is done again (A7); what has come about is not done twice."""
        stage = self.stage
        if stage.several or stage.was == stage.becomes:
            return
        if sizeless(shape(before, self.before)) != sizeless(stage.was):
            return
        now = self._once_more()
        if (found := shape(now, self.before)) != stage.becomes:
            self._problem("A7", f"done again it is not what it was to be: {told(found, stage.becomes)}")
        self._audit(now, "after doing it again")

    def _delete(self) -> None:
        """Delete leaves nothing, and everything that was taken can be taken again (A11)."""
        bench = self.bench
        bench.trace.write("drill", "delete")
        bench.arm()
        bench.delete()
        now = bench.look()
        for name, row in self._rows(now).items():
            if row["vm_state"] != "DELETED":
                self._problem("A11", f"instance {name} is {row['vm_state']} after a delete without a fault")
        self._audit(now, "after the delete")

    def _rows(self, now: Things) -> Mapping[str, Row]:
        """The last row of each name that was not there before the drilled instances."""
        old = {row["id"] for row in self.before.rows["instances"]}
        return {row["name"]: row for row in now.rows["instances"] if row["id"] not in old}
