#!/usr/bin/env bash
# transitions 0.9.3, Machine(queued=True). A trigger whose condition says no, with nothing else in the queue.
# Guess: False, as without a queue: there is nothing to wait for, and the answer is known when the call comes back.
# Behaviour: always True. (That an inner trigger can't know is clear; this is the outer one.) may_go() tells the truth.
# Seen: queued: go() True, state 'a', may_go() False; not queued: go() False, state 'a'.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check transitions==0.9.3
"$work/bin/python" - <<'PY'
from transitions import Machine


def refused(queued):
    machine = Machine(
        states=["a", "b"],
        initial="a",
        queued=queued,
        transitions=[{"trigger": "go", "source": "a", "dest": "b", "conditions": lambda: False}],
    )
    return machine.go(), machine.state, machine.may_go()


seen = {queued: refused(queued) for queued in (True, False)}
print("queued:    go() {}, state {!r}, may_go() {}".format(*seen[True]))
print("not queued: go() {}, state {!r}, may_go() {}".format(*seen[False]))
assert seen == {True: (True, "a", False), False: (False, "a", False)}, "a refusal is told otherwise now"
PY
