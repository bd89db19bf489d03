#!/usr/bin/env bash
# TaskFlow 6.5.0. engines.load() with an argument or an engine option that does not exist.
# Guess: TypeError, or a warning, for a misspelled argument; an error for an option that the engine does not know.
# Behaviour: taken, and never looked at: all extra arguments become options of the engine, and no engine checks its options.
#   enginee='parallel' gives the serial engine; max_worker=4 a pool of the default size.
# Seen: SerialActionEngine, flow SUCCESS, no warning.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
import warnings

import taskflow.engines
from taskflow import task
from taskflow.patterns import linear_flow


class Nothing(task.Task):
    def execute(self):
        pass


warnings.simplefilter("error")
for extra in ({"enginee": "parallel"}, {"defer_revert": True}, {"engine": "parallel", "max_worker": 4}):
    engine = taskflow.engines.load(linear_flow.Flow("flow").add(Nothing()), **extra)
    engine.run()
    kept = {name: engine.options.get(name) for name in extra if name != "engine"}
    print(extra, type(engine).__name__, engine.storage.get_flow_state(), "kept as options:", kept)
    assert engine.storage.get_flow_state() == "SUCCESS" and None not in kept.values(), "options are checked now"
PY
