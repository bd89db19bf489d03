#!/usr/bin/env bash
# Automat 25.4.16, MethodicalMachine. The first of a transition's two outputs raises; the caller catches it and tries again.
# Guess: an input that raises has not been taken: the state is the old one, and the same input can be given again.
# Behaviour: the state is moved before the outputs run. What comes out is the output's error, the other outputs are never called, and the
#   same input is now one of the new state: no error where that takes it, NoTransition where it does not.
# Seen: boot() raises RuntimeError, announce() not called; state 'running'; start() again: NoTransition.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check automat==25.4.16
"$work/bin/python" -W ignore - <<'PY'
from automat import MethodicalMachine


class Guest:
    machine = MethodicalMachine()

    def __init__(self):
        self.calls = []

    @machine.state(initial=True, serialized="new")
    def new(self):
        """Nothing runs."""

    @machine.state(serialized="running")
    def running(self):
        """It is up."""

    @machine.input()
    def start(self):
        """Have it run."""

    @machine.output()
    def boot(self):
        self.calls.append("boot")
        raise RuntimeError("no memory")

    @machine.output()
    def announce(self):
        self.calls.append("announce")

    @machine.serializer()
    def state(self, state):
        return state

    new.upon(start, enter=running, outputs=[boot, announce])


guest, raised = Guest(), []
for _ in range(2):
    try:
        guest.start()
    except Exception as error:
        raised.append(type(error).__name__)
print("raised:", raised, "called:", guest.calls, "state:", guest.state())
assert (raised, guest.calls, guest.state()) == (["RuntimeError", "NoTransition"], ["boot"], "running"), "outputs run before the move now"
PY
