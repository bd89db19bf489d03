#!/usr/bin/env bash
# TaskFlow 6.5.0. One name, 'x', that several hold: two tasks of a linear flow, and the store given to the engine.
# Guess: as with variables, the latest task's value, for a later task, for fetch() and for the flow's results; the store is
#   what the flow begins with.
# Behaviour: three answers. A later task gets the latest; fetch() the first task's; run() and fetch_all() a list of all.
#   With 'x' in the store every task gets the store's and no task's value is seen.
# Seen: later task 2, fetch 1, results [1, 2]; with the store: 'store'.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow


class Provide(task.Task):
    def __init__(self, value):
        super().__init__(name=f"provide-{value}", provides="x")
        self.value = value

    def execute(self):
        return self.value


class Use(task.Task):
    default_provides = "used"

    def execute(self, x):
        return x


def run(**store):
    flow = linear_flow.Flow("flow").add(Provide(1), Provide(2), Use())
    engine = taskflow.engines.load(flow, store=store)
    engine.run()
    return engine.storage


storage = run()
seen = (storage.fetch("used"), storage.fetch("x"), storage.fetch_all()["x"], run(x="store").fetch("used"))
print("later task {}, fetch {}, results {}, with the store {!r}".format(*seen))
assert seen == (2, 1, [1, 2], "store"), "TaskFlow looks names up otherwise now"
PY
