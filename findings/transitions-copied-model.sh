#!/usr/bin/env bash
# transitions 0.9.3. A model is copied with copy.copy() and a trigger is called on the copy.
# Guess: the copy moves and the original stays, as with any object that has its own 'state'.
# Behaviour: triggers and is_X() are bound to the original when it is added to the machine, and copied with it. The original
#   moves; the copy's own state stays. copy.deepcopy() takes a copy of the whole machine along and is right.
# Seen: original 'b', copy 'a'; copy.is_b() True although copy.state is 'a'.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check transitions==0.9.3
"$work/bin/python" - <<'PY'
import copy

from transitions import Machine


class Model:
    pass


def move_the(copier):
    model = Model()
    Machine(model, states=["a", "b"], initial="a", transitions=[["go", "a", "b"]])
    other = copier(model)
    other.go()
    return {"original": model.state, "copy": other.state, "copy.is_b()": other.is_b()}


shallow, deep = move_the(copy.copy), move_the(copy.deepcopy)
print("copy:    ", shallow)
print("deepcopy:", deep)
assert shallow == {"original": "b", "copy": "a", "copy.is_b()": True}, "copies have triggers of their own now"
assert deep == {"original": "a", "copy": "b", "copy.is_b()": True}, "deep copies do otherwise now"
PY
