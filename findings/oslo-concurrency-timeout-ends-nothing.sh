#!/usr/bin/env bash
# oslo.concurrency 7.6.1, processutils.execute(timeout=, attempts=): how OpenStack's services run qemu-img, ip and the like.
# Guess: a command that is over its time is killed, as with subprocess.run(timeout=), and tried again when attempts are left.
# Behaviour: execute() comes back in time with subprocess.TimeoutExpired, no ProcessExecutionError, and the command goes on: what it was to
#   do is done some time after the caller has been told that it was not. No other attempt is made.
# Seen: execute(): TimeoutExpired, began 1 time, alive, its file is written afterwards; subprocess.run(): killed, no file.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.concurrency==7.6.1
cd "$work" && bin/python -W ignore - <<'PY'
import pathlib
import subprocess
import time

from oslo_concurrency import processutils

SCRIPT = "echo began >> $0.began; sleep 3; touch $0.late"


def overdue(run, name):
    try:
        run("sh", "-c", SCRIPT, name)
        raised = "nothing"
    except (subprocess.TimeoutExpired, processutils.ProcessExecutionError) as error:
        raised = type(error).__name__
    late, began = pathlib.Path(f"{name}.late"), pathlib.Path(f"{name}.began")
    before = late.exists()
    deadline = time.monotonic() + 10
    while not late.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f"{name}: {raised}; began {began.read_text().count('began')} time(s); file there when it came back {before}, later {late.exists()}")
    return raised, began.read_text().count("began"), before, late.exists()


ours = overdue(lambda *command: processutils.execute(*command, timeout=1, attempts=2, delay_on_retry=False), "execute()")
assert ours == ("TimeoutExpired", 1, False, True), "the command is ended, or tried again, now"
PY
