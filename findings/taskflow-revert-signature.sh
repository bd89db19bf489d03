#!/usr/bin/env bash
# TaskFlow 6.5.0. A task whose revert takes no arguments, as its execute does.
# Guess: arguments are passed by what the method declares, as for execute; revert(self) is called without any.
# Behaviour: 'result' and 'flow_failures' are passed whether declared or not. revert(self) fails with TypeError only when something
#   has to be undone, nothing is undone, and the TypeError hides the first cause. Its other arguments go by the signature.
# Seen: revert(self) -> TypeError, revert(self, result, flow_failures) -> the first cause, ValueError.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow

logging.disable()


class Bare(task.Task):
    def execute(self):
        return 5

    def revert(self):
        print("undone")


class Full(Bare):
    def revert(self, result, flow_failures):
        print("undone, with result", result)


class Fails(task.Task):
    def execute(self):
        raise ValueError("the first cause")


seen = {}
for kind in (Bare, Full):
    try:
        taskflow.engines.run(linear_flow.Flow("flow").add(kind(), Fails()))
    except Exception as error:
        seen[kind.__name__] = type(error).__name__
print(seen)
assert seen == {"Bare": "TypeError", "Full": "ValueError"}, "reverts are called otherwise now"
PY
