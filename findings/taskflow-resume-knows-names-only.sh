#!/usr/bin/env bash
# TaskFlow 6.5.0. A flow is loaded again from its record after the code has changed.
# Guess: another class under a task's name, or another major version of it, is refused or run anew; the version is on record.
# Behaviour: only names are compared. The recorded result stands for whatever task has the name now; a changed 'provides' gives the
#   old result under the new name, and swapped ones swap the values. The flow keeps its recorded name.
# Seen: class B, version 2.0 -> result 'A'; provides ('a', 'b') -> ('b', 'a') gives {'b': 'a', 'a': 'b'}.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow
from taskflow.persistence import backends
from taskflow.utils import persistence_utils


class A(task.Task):
    def execute(self):
        return "A"


class B(task.Task):
    version = (2, 0)

    def execute(self):
        return "B"


class Pair(task.Task):
    def execute(self):
        return ("a", "b")


def run_twice(before, after):
    backend = backends.fetch({"connection": "memory"})
    book, detail = persistence_utils.temporary_flow_detail(backend)
    for first in (before, after):
        engine = taskflow.engines.load(linear_flow.Flow("flow").add(first), flow_detail=detail, book=book, backend=backend)
        engine.run()
    return engine.storage.fetch_all()


changed = run_twice(A(name="t", provides="x"), B(name="t", provides="x"))
swapped = run_twice(Pair(name="t", provides=("a", "b")), Pair(name="t", provides=("b", "a")))
print("another class and version:", changed)
print("swapped names:", swapped)
assert (changed, swapped) == ({"x": "A"}, {"b": "a", "a": "b"}), "TaskFlow compares more than names now"
PY
