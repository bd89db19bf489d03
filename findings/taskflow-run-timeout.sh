#!/usr/bin/env bash
# TaskFlow 6.5.0. engine.run(timeout=0.1) on tasks of half a second each.
# Guess: after 0.1 s (or after the task that runs then) the run ends with a time-out, and what was done is reverted.
# Behaviour: the time-out bounds single waits inside the engine. Both tasks run to their end, the flow is a SUCCESS.
# Seen: SUCCESS after 1.0 s, two tasks done, with the serial and with the parallel engine.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import time

import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow


class Slow(task.Task):
    def execute(self):
        time.sleep(0.5)


for kind in ("serial", "parallel"):
    flow = linear_flow.Flow("flow").add(Slow(name="one"), Slow(name="two"))
    engine = taskflow.engines.load(flow, engine=kind)
    begun = time.monotonic()
    engine.run(timeout=0.1)
    took, state = time.monotonic() - begun, engine.storage.get_flow_state()
    print(f"{kind}: {state} after {took:.1f} s")
    assert state == "SUCCESS" and took >= 1, "timeout= ends a run now"
PY
