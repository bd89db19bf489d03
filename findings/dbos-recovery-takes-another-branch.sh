#!/usr/bin/env bash
# DBOS 3.4.0 with SQLite. A step fails with an exception of the project's own, the workflow catches it and goes on; then the process ends
# and the next one recovers the workflow.
# Guess: the recorded failure is raised again as it was, so the workflow takes the branch that it took before.
# Behaviour: exceptions are pickled. Where __init__ makes its message of more than one argument, which pickle then cannot give it, the
#   record cannot be read back, which nobody notices while it is written: recovery raises TypeError at the step, and the workflow
#   goes where it never was. Where the workflow itself fails so, get_result() of another process raises TypeError too.
# Seen: first process: NoRoom, other host; after recovery: TypeError, given up.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check dbos==3.4.0
cat > flow.py <<'PY'
import os
import sys

from dbos import DBOS, SetWorkflowID

DBOS(config={"name": "finding", "system_database_url": "sqlite:///dbos.db", "run_admin_server": False, "log_level": "CRITICAL"})


class NoRoom(Exception):
    def __init__(self, host, missing):
        super().__init__(f"{host} lacks {missing} MiB")


@DBOS.step()
def place():
    print("the step runs", flush=True)
    raise NoRoom("host-1", 512)


@DBOS.workflow()
def build():
    try:
        place()
    except NoRoom:
        branch = "NoRoom, other host"
    except Exception as error:
        branch = f"{type(error).__name__}, given up"
    print(branch, flush=True)
    if sys.argv[1] == "first":
        os._exit(0)
    return branch


DBOS.launch()
if sys.argv[1] == "first":
    with SetWorkflowID("build"):
        build()
DBOS.retrieve_workflow("build").get_result()
DBOS.destroy()
PY
for process in first second; do
    echo "$process process:"
    timeout 60 venv/bin/python flow.py $process 2> log || tail -3 log
done | tee seen
diff - seen <<'END' || { echo "failures are recorded otherwise now"; exit 1; }
first process:
the step runs
NoRoom, other host
second process:
TypeError, given up
END
