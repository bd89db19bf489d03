#!/usr/bin/env bash
# python-statemachine 3.2.2: StateChart, the class that its documentation begins with, and StateMachine, the one that came before it.
# Guess: what an action or a condition raises comes out of send(), the state is as it was, and an event that is not known is an error.
# Behaviour: in a StateChart nothing comes out: the error becomes an event "error.execution", which is dropped where no transition waits
#   for it, and the machine goes on into the target state although the transition's action failed. Misspelt events are nothing, too.
# Seen: StateChart: action raised: target, on enter: target, condition: source, misspelt event: source, no error; StateMachine: the error each
#   time, and the source.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check python-statemachine==3.2.2
"$work/bin/python" - <<'PY'
from statemachine import State, StateChart, StateMachine


def machine_of(base, failing):
    class Machine(base):
        off = State(initial=True)
        on = State()
        start = off.to(on, cond="allowed")
        stop = on.to(off)

        def allowed(self):
            return failing != "condition" or 1 / 0

        def on_start(self):
            return failing != "action" or 1 / 0

        def on_enter_on(self):
            return failing != "on enter" or 1 / 0

    return Machine()


seen = {}
for base in (StateChart, StateMachine):
    for failing, event in (("action", "start"), ("on enter", "start"), ("condition", "start"), ("nothing", "satrt")):
        machine = machine_of(base, failing)
        try:
            machine.send(event)
            said = "no error"
        except Exception as error:
            said = type(error).__name__
        seen[base.__name__, failing] = (said, [state.id for state in machine.configuration])
        print(f"{base.__name__}, {failing} raises, send({event!r}):", *seen[base.__name__, failing])
chart = [seen["StateChart", failing] for failing in ("action", "on enter", "condition", "nothing")]
older = [seen["StateMachine", failing] for failing in ("action", "on enter", "condition", "nothing")]
assert chart == [("no error", [state]) for state in ("on", "on", "off", "off")], "a StateChart tells of errors now"
assert older == [(error, ["off"]) for error in ["ZeroDivisionError"] * 3 + ["TransitionNotAllowed"]]
PY
