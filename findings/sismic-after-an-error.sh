#!/usr/bin/env bash
# sismic 1.6.14 (statecharts in YAML). An action, or a guard, raises while an event is carried out; the caller catches it and goes on.
# Guess: the step has not happened: the states are as they were, and the event is used up.
# Behaviour: when an action raises, the source has been left and the target not been entered: the chart is in no leaf at all, and the next
#   event is used up for entering the initial state. When a guard raises, the event stays at the head of the queue, so that
#   every later event gets the same error.
# Seen: action: ['root'], then "stop" brings about ['new', 'root']; guard: "start" after it raises the guard's error again, ['new', 'root'].
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check sismic==1.6.14
"$work/bin/python" -W ignore - <<'PY'
from sismic.exceptions import CodeEvaluationError
from sismic.interpreter import Interpreter
from sismic.io import import_from_yaml

CHART = """
statechart:
  name: instance
  root state:
    name: root
    initial: new
    states:
      - name: new
        transitions:
          - {event: start, target: running}
          - {event: sized, target: running, guard: event.cpus > 1}
      - name: running
        transitions:
          - {event: stop, target: new}
          - {event: resize, target: new, action: 1 / 0}
"""


def told(interpreter, event):
    """What came of an event, and the states after it."""
    try:
        steps = interpreter.queue(event).execute()
        said = "moved" if any(step.transitions for step in steps) else "no transition"
    except CodeEvaluationError as error:
        said = str(error).splitlines()[0][:40]
    print(f"{event}: {said}; in {sorted(interpreter.configuration)}")
    return said, sorted(interpreter.configuration)


def chart():
    interpreter = Interpreter(import_from_yaml(CHART))
    interpreter.execute()
    return interpreter


acting, guarding = chart(), chart()
action = [told(acting, event) for event in ("start", "resize", "stop")]
guard = [told(guarding, event) for event in ("sized", "start")]
assert [states for _, states in action] == [["root", "running"], ["root"], ["new", "root"]], "a raising action leaves other states now"
assert action[2][0] == "no transition"
assert guard[0] == guard[1] and guard[1][1] == ["new", "root"], "the event of a raising guard is used up now"
PY
