#!/usr/bin/env bash
# TaskFlow 6.5.0. A failure that was recorded (to_dict, from_dict: what each backend and worker does) is raised again.
# Guess: reraise() raises the class that it names, where that can be imported; the failure equals the one it was made of.
# Behaviour: it has no exception any more: reraise() raises WrappedFailure, so 'except KeyError' works until the first restart. check()
#   goes by the recorded names and still says KeyError; == says no, matches() yes.
# Seen: before: KeyError; after: WrappedFailure; check(LookupError) true on both.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check taskflow==6.5.0
"$work/bin/python" - <<'PY'
from taskflow.types.failure import Failure

try:
    raise KeyError("k")
except KeyError:
    before = Failure()
after = Failure.from_dict(before.to_dict())


def raised(failure):
    try:
        failure.reraise()
    except Exception as error:
        return type(error).__name__


seen = (raised(before), raised(after), after.check(LookupError) is LookupError, after == before, after.matches(before))
print("reraise before: {}, after: {}; check(LookupError) after: {}; equal: {}, matches: {}".format(*seen))
assert seen == ("KeyError", "WrappedFailure", True, False, True), "failures come back otherwise now"
PY
