#!/usr/bin/env bash
# DBOS 3.4.0 with SQLite. A step does its work and returns what pickle cannot take, an open file; the workflow catches what comes.
# Guess: the step is on record as failed, as with any other exception out of it.
# Behaviour: the exception reaches the workflow as if the step had raised it, but nothing is on record, while the next step has the
#   number after it. Retries of the step do not see it. A recovery, or a fork after that step, does its work again.
# Seen: recorded steps: 2 note; the work is done once in the first run and once more in a fork that begins at step 2.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check dbos==3.4.0
timeout 60 venv/bin/python - 2> log <<'PY' || { tail -3 log; exit 1; }
from dbos import DBOS, SetWorkflowID

DBOS(config={"name": "finding", "system_database_url": "sqlite:///dbos.db", "run_admin_server": False, "log_level": "CRITICAL"})
done = []


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=0.01)
def write():
    done.append("write")
    return open("disk", "wb")


@DBOS.step()
def note():
    done.append("note")


@DBOS.workflow()
def build():
    try:
        write()
        return "success"
    except Exception as error:
        note()
        return f"{type(error).__name__}: {error}"


DBOS.launch()
with SetWorkflowID("build"):
    print("result:", build())
recorded = [(step["function_id"], step["function_name"]) for step in DBOS.list_workflow_steps("build")]
first = done[:]
DBOS.fork_workflow("build", 2).get_result()
print("done in the first run:", first, "on record:", recorded, "done in the fork from step 2:", done[len(first) :])
DBOS.destroy()
assert recorded == [(2, "note")], "a result that does not pickle is on record now"
assert first == ["write", "note"] and done[len(first) :] == ["write", "note"], "it is not done again now"
PY
