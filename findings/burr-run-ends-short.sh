#!/usr/bin/env bash
# burr 0.42.0 (state machines for applications). run(halt_after=["done"]) where no transition holds; reads and writes of actions.
# Guess: a run that cannot get to where it must halt says so; an action sees what it reads, and changes what it writes; what a failed action
#   did is not in the state.
# Behaviour: the run returns as if all were well, with the last action that it came to. Only a missing write is an error: undeclared
#   reads and writes work. A list in the state is the caller's own, so what a failed action appended stays.
# Seen: run() returns "work", no error; the undeclared key is written; after the failure n is 1, but the list has 2 entries.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check burr==0.42.0
"$work/bin/python" - 2> "$work/log" <<'PY' || { tail -3 "$work/log"; exit 1; }
from burr.core import ApplicationBuilder, action, when


@action(reads=["n"], writes=["n"])
def work(state):
    return state.update(n=state["n"] + 1, undeclared=state["log"][0])


@action(reads=["n"], writes=["n"])
def done(state):
    return state.update(n=0)


@action(reads=["log"], writes=["n"])
def failing(state):
    state["log"].append("half done")
    state = state.update(n=99)
    raise ValueError("failed")


def application(**state):
    builder = ApplicationBuilder().with_actions(work=work, done=done, failing=failing).with_state(**state)
    return builder.with_transitions(("work", "done", when(n=100)))


short = application(n=1, log=["begun"]).with_entrypoint("work").build()
last, _, state = short.run(halt_after=["done"])
print("halt after done; the run ended at:", last.name, "| undeclared key:", state.get("undeclared"))
failed = application(n=1, log=["begun"]).with_entrypoint("failing").build()
try:
    failed.run(halt_after=["failing"])
except ValueError as error:
    print("raised:", error, "| n:", failed.state["n"], "log:", failed.state["log"])
assert (last.name, state["undeclared"]) == ("work", "begun"), "a run that falls short says so now, or writes are checked"
assert (failed.state["n"], failed.state["log"]) == (1, ["begun", "half done"]), "a failed action leaves nothing now"
PY
