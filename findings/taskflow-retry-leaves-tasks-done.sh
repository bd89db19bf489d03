#!/usr/bin/env bash
# TaskFlow 6.5.0. A task, then a nested flow with a retry whose one task fails each time.
# Guess: when the retry gives up, all that was done is reverted, as without a retry: the flow says REVERTED.
# Behaviour: by default a retry that gives up reverts its own flow only. The whole flow is REVERTED, run() raises the cause, and the task
#   before it is left done. defer_reverts=True reverts it; so does retry.AlwaysRevertAll.
# Seen: Times(2): flow REVERTED, first task SUCCESS; with defer_reverts: flow REVERTED, first task REVERTED.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import retry, task
from taskflow.patterns import linear_flow

logging.disable()


class First(task.Task):
    def execute(self):
        pass


class Fails(task.Task):
    def execute(self):
        raise ValueError("the cause")


def run(controller, **options):
    inner = linear_flow.Flow("inner", retry=controller)
    flow = linear_flow.Flow("flow").add(First(name="first"), inner.add(Fails()))
    engine = taskflow.engines.load(flow, **options)
    try:
        engine.run()
    except ValueError:
        pass
    return engine.storage.get_flow_state(), engine.storage.get_atom_state("first")


seen = {
    "no retry": run(None),
    "Times(2)": run(retry.Times(2)),
    "AlwaysRevert": run(retry.AlwaysRevert()),
    "AlwaysRevertAll": run(retry.AlwaysRevertAll()),
    "Times(2), defer_reverts": run(retry.Times(2), defer_reverts=True),
}
for how, (flow, first) in seen.items():
    print(f"{how:<24} flow {flow}, first task {first}")
done, undone = ("REVERTED", "SUCCESS"), ("REVERTED", "REVERTED")
assert list(seen.values()) == [undone, done, done, undone, undone], "retries revert otherwise now"
PY
