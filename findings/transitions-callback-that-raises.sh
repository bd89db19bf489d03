#!/usr/bin/env bash
# transitions 0.9.3. A callback raises in the middle of a transition from 'a' to 'b'.
# Guess: an error on entering 'b' leaves the model in 'a'; whatever a callback raises reaches the caller.
# Behaviour: the state is set before on_enter and never set back, so the trigger raises and the model has moved. What
#   finalize_event raises is logged and lost: the trigger returns True.
# Seen: before -> 'a', raised; on_exit -> 'a', raised; on_enter -> 'b', raised; after -> 'b', raised; finalize -> 'b', returned True.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check transitions==0.9.3
"$work/bin/python" - <<'PY'
import logging

from transitions import Machine, State

logging.disable()


def boom():
    raise ValueError


def run(where):
    on = {where: boom}
    machine = Machine(
        states=[State("a", on_exit=on.get("on_exit")), State("b", on_enter=on.get("on_enter"))],
        initial="a",
        transitions=[{"trigger": "go", "source": "a", "dest": "b", "before": on.get("before"), "after": on.get("after")}],
        finalize_event=on.get("finalize"),
    )
    try:
        return machine.state, f"returned {machine.go()}", machine.state
    except ValueError:
        return "a", "raised", machine.state


seen = {where: run(where)[1:] for where in ("before", "on_exit", "on_enter", "after", "finalize")}
for where, (outcome, state) in seen.items():
    print(f"{where:<9} {outcome:<14} state {state}")
assert seen == {
    "before": ("raised", "a"),
    "on_exit": ("raised", "a"),
    "on_enter": ("raised", "b"),
    "after": ("raised", "b"),
    "finalize": ("returned True", "b"),
}, "callbacks that raise fare otherwise now"
PY
