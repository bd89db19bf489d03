#!/usr/bin/env bash
# transitions 0.9.3. A transition names a state that does not exist.
# Guess: ValueError when the machine is made; and a '*' stands for every state there is when it fires.
# Behaviour: both ends are taken unchecked. A wrong target is found when the trigger fires, after the source state's on_exit has run;
#   a wrong source never. '*' is spelt out when it is read: a state added later has no such transition.
# Seen: machine made; on_exit ran, then ValueError; MachineError from the state that was added later.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check transitions==0.9.3
"$work/bin/python" - <<'PY'
from transitions import Machine, MachineError, State

left = []
machine = Machine(
    states=[State("a", on_exit=lambda: left.append("a")), "b"],
    initial="a",
    transitions=[["go", "a", "bb"], ["back", "bee", "a"], ["stop", "*", "b"]],
)
print("machine made with targets and sources that do not exist")
try:
    machine.go()
    raise SystemExit("gone to a state that does not exist")
except ValueError as error:
    print(f"go: {error} on_exit ran: {left}, state {machine.state!r}")
assert (left, machine.state) == (["a"], "a"), "the target is checked at another time now"
machine.add_state("late")
machine.set_state("late")
try:
    machine.stop()
    raise SystemExit("'*' holds for later states now")
except MachineError as error:
    print("stop:", error.value)
PY
