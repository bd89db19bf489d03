#!/usr/bin/env bash
# TaskFlow 6.5.0, its directory backend (its SQL backend does the same). A task's result, before and after a restart.
# Guess: what can't be kept as it is, is refused when it is saved; or it is pickled and comes back the same.
# Behaviour: in the process that ran the task its result is as returned; whoever loads the flow again gets another type: no error
#   at either end. Only what the serializer can't do at all (a timedelta) fails.
# Seen: (1, 2) -> [1, 2], {1: 'a'} -> {'1': 'a'}, b'ab' -> 'ab', a UUID and a datetime -> str, an exception -> its repr.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import datetime
import tempfile
import uuid

import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow
from taskflow.persistence import backends
from taskflow.utils import persistence_utils


class Return(task.Task):
    default_provides = "x"

    def execute(self, value):
        return value


def after_a_restart(value):
    with tempfile.TemporaryDirectory() as folder:
        backend = backends.fetch({"connection": "dir", "path": folder})
        connection = backend.get_connection()
        connection.upgrade()
        book, detail = persistence_utils.temporary_flow_detail(backend)
        flow = linear_flow.Flow("flow").add(Return(inject={"value": value}))
        engine = taskflow.engines.load(flow, flow_detail=detail, book=book, backend=backend)
        engine.run()
        assert engine.storage.fetch("x") == value, "changed at once now"
        found = connection.get_logbook(book.uuid).find(detail.uuid)
        engine = taskflow.engines.load(flow, flow_detail=found, backend=backend)
        engine.compile()
        engine.prepare()
        return engine.storage.fetch("x")


expected = [
    ((1, 2), [1, 2]),
    ({1: "a"}, {"1": "a"}),
    (b"ab", "ab"),
    (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    (datetime.datetime(2026, 11, 30), "2026-11-30T00:00:00.000000"),
]
for value, wanted in expected:
    seen = after_a_restart(value)
    print(f"{value!r} -> {seen!r}")
    assert seen == wanted, "results come back otherwise now"
PY
