#!/usr/bin/env bash
# DBOS 3.4.0 with SQLite. list_workflows() is asked for the workflows of a list that happens to be empty.
# Guess: none, as with SQL's IN over nothing, and as cancel_workflows([]) and delete_workflows([]) do, which do nothing.
# Behaviour: an empty list is no filter, and limit=0 is no limit: all workflows come back. cancel_workflow() and delete_workflow()
#   of an id that nobody has say nothing; resume_workflow() of the same one raises.
# Seen: 3 of 3 for workflow_ids=[], status=[] and limit=0; 0 for an id or a status that nobody has.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check dbos==3.4.0
timeout 60 venv/bin/python - 2> log <<'PY' || { tail -3 log; exit 1; }
from dbos import DBOS

DBOS(config={"name": "finding", "system_database_url": "sqlite:///dbos.db", "run_admin_server": False, "log_level": "CRITICAL"})


@DBOS.workflow()
def build():
    pass


def said(call):
    try:
        return str(call("nobody's"))
    except Exception as error:
        return type(error).__name__


DBOS.launch()
for _ in range(3):
    build()
filters = ({"workflow_ids": []}, {"status": []}, {"limit": 0}, {"workflow_ids": ["nobody's"]}, {"status": "nobody's"})
counts = [len(DBOS.list_workflows(**one)) for one in filters]
for one, count in zip(filters, counts, strict=True):
    print(one, "->", count, "of 3")
DBOS.cancel_workflows([])
DBOS.delete_workflows([])
kept = len(DBOS.list_workflows(status="SUCCESS"))
answers = [said(call) for call in (DBOS.cancel_workflow, DBOS.delete_workflow, DBOS.resume_workflow)]
print("after cancelling and deleting []:", kept, "| of nobody's id, cancel, delete and resume say:", *answers)
DBOS.destroy()
assert counts == [3, 3, 3, 0, 0] and kept == 3, "an empty list is a filter now"
assert answers == ["None", "None", "DBOSNonExistentWorkflowError"], "unknown ids are answered otherwise now"
PY
