#!/usr/bin/env bash
# TaskFlow 6.5.0. Three tasks in a row; the third fails, and the revert of the second fails too.
# Guess: the first is reverted all the same, the caller learns the first cause, and the flow stays FAILURE until it is mended.
# Behaviour: the roll-back ends at the revert that failed; the caller gets the revert's error, not the first; the flow is
#   FAILURE, but the same engine run once more is REVERTED, with the first task still done.
# Seen: OSError; SUCCESS, REVERT_FAILURE, REVERTED; second run: WrappedFailure, REVERTED, first task still SUCCESS.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow

logging.disable()


class First(task.Task):
    def execute(self):
        pass


class Second(task.Task):
    def execute(self):
        pass

    def revert(self, **kwargs):
        raise OSError("revert of the second")


class Third(task.Task):
    def execute(self):
        raise ValueError("the first cause")


names = ("first", "second", "third")
flow = linear_flow.Flow("flow").add(First(name="first"), Second(name="second"), Third(name="third"))
engine = taskflow.engines.load(flow)
seen = []
for _ in range(2):
    try:
        engine.run()
    except Exception as error:
        seen.append(type(error).__name__)
    seen += [engine.storage.get_flow_state(), *(engine.storage.get_atom_state(name) for name in names)]
print(*seen)
assert seen == [
    "OSError", "FAILURE", "SUCCESS", "REVERT_FAILURE", "REVERTED",
    "WrappedFailure", "REVERTED", "SUCCESS", "REVERT_FAILURE", "REVERTED",
], "a failing revert is dealt with otherwise now"  # fmt: skip
PY
