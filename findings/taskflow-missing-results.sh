#!/usr/bin/env bash
# TaskFlow 6.5.0. A task promises two results, provides=('a', 'b'), and its execute returns something else.
# Guess: the task fails; or at least whoever needs 'b' and has a default for it gets the default.
# Behaviour: None, too few and too many values are all a success of the flow; a string or a dict is taken apart by index. A later
#   task that needs the missing name fails with NotFound, although its argument has a default.
# Seen: None gives {}, (1,) gives {'a': 1}, 'xy' gives {'a': 'x', 'b': 'y'}; the consumer with b=7 fails with NotFound.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import logging

import taskflow.engines
from taskflow import exceptions, task
from taskflow.patterns import linear_flow

logging.disable()


class Two(task.Task):
    default_provides = ("a", "b")

    def execute(self, value):
        return value


class Optional(task.Task):
    def execute(self, b=7):
        return b


seen = {}
for value in (None, (1,), (1, 2, 3), "xy", {0: 1, 1: 2}):
    results = taskflow.engines.run(linear_flow.Flow("flow").add(Two(inject={"value": value})))
    seen[repr(value)] = results
    print(f"returned {value!r:<14} results {results}")
assert seen == {
    "None": {},
    "(1,)": {"a": 1},
    "(1, 2, 3)": {"a": 1, "b": 2},
    "'xy'": {"a": "x", "b": "y"},
    "{0: 1, 1: 2}": {"a": 1, "b": 2},
}, "TaskFlow takes results otherwise now"
try:
    taskflow.engines.run(linear_flow.Flow("flow").add(Two(inject={"value": (1,)}), Optional()))
except exceptions.NotFound as error:
    print("consumer with a default: NotFound:", str(error)[:60], "...")
else:
    raise SystemExit("the default is used now")
PY
