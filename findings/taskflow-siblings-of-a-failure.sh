#!/usr/bin/env bash
# TaskFlow 6.5.0, serial engine. An unordered flow of twenty tasks; each of them fails.
# Guess: one at a time means that after the first failure no other task begins.
# Behaviour: all that is ready is executed before any outcome is looked at: twenty effects, twenty failures, one WrappedFailure.
# Seen: 20 executed, 20 reverted, WrappedFailure with 20 failures. In a linear flow: 1, 1 and the error itself.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import task
from taskflow.exceptions import WrappedFailure
from taskflow.patterns import linear_flow, unordered_flow

logging.disable()
done = []


class Fails(task.Task):
    def execute(self):
        done.append("execute")
        raise ValueError(self.name)

    def revert(self, **kwargs):
        done.append("revert")


seen = {}
for pattern in (unordered_flow, linear_flow):
    done.clear()
    try:
        taskflow.engines.run(pattern.Flow("flow").add(*(Fails(name=f"task-{n}") for n in range(20))), engine="serial")
    except Exception as error:
        kind, failures = type(error).__name__, len(list(error)) if isinstance(error, WrappedFailure) else 1
        seen[pattern.__name__] = (done.count("execute"), done.count("revert"), kind, failures)
for pattern, outcome in seen.items():
    print(pattern, *outcome)
assert list(seen.values()) == [(20, 20, "WrappedFailure", 20), (1, 1, "ValueError", 1)], "siblings fare otherwise now"
PY
