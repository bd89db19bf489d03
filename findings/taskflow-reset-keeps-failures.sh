#!/usr/bin/env bash
# TaskFlow 6.5.0. An engine whose run failed is reset and run again. The task that failed succeeds now, a later one fails.
# Guess: after reset() the second run knows nothing of the first: one failure, raised as it is.
# Behaviour: reset() leaves the old failures in the storage, and a success does not clear them. The second run raises
#   WrappedFailure of both, and reverts are given the old failure, of a task that succeeded, beside the new one.
# Seen: run 1: ValueError('first'); run 2: WrappedFailure of 'first' and 'second'; flow_failures: both tasks.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import exceptions, task
from taskflow.patterns import linear_flow

logging.disable()
told = []


class Before(task.Task):
    def execute(self):
        pass

    def revert(self, flow_failures, **kwargs):
        told.append(sorted(flow_failures))


class FailsInRun(task.Task):
    """Fails in one run and succeeds in all others."""

    def __init__(self, name, run):
        super().__init__(name=name)
        self.left = run

    def execute(self):
        self.left -= 1
        if self.left == 0:
            raise ValueError(self.name)


flow = linear_flow.Flow("flow").add(Before(), FailsInRun("first", run=1), FailsInRun("second", run=1))
engine = taskflow.engines.load(flow)
seen = []
for _ in range(2):
    try:
        engine.run()
    except exceptions.WrappedFailure as error:
        seen.append(sorted(failure.exception_str for failure in error))
    except ValueError as error:
        seen.append(str(error))
    engine.reset()
print("raised:", *seen)
print("told to the revert:", *told)
assert seen == ["first", ["first", "second"]], "reset() clears the failures now"
assert told == [["first"], ["first", "second"]], "reverts are told less now"
PY
