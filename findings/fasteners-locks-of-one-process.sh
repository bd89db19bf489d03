#!/usr/bin/env bash
# fasteners 0.20 and tooz 9.1.0 with its file driver. Two locks of one name, held by two objects of one process.
# Guess: the second acquire(blocking=False) is refused: it is another lock object, another coordinator, another member.
# Behaviour: both are acquired. The lock is POSIX's of the process on the file; tooz's file driver, whose members are named, builds on
#   it and so lets two members of one process hold one lock. Another process is kept out, as it should be.
# Seen: fasteners True, True; tooz True, True; another process: False.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check fasteners==0.20 tooz==9.1.0
"$work/bin/python" - <<'PY'
import subprocess
import sys
import tempfile

import fasteners
from tooz import coordination

with tempfile.TemporaryDirectory() as folder:
    first, second = (fasteners.InterProcessLock(f"{folder}/lock") for _ in range(2))
    locks = (first.acquire(blocking=False), second.acquire(blocking=False))
    code = f"import fasteners; print(fasteners.InterProcessLock('{folder}/lock').acquire(blocking=False))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    members = []
    for name in (b"one", b"two"):
        coordinator = coordination.get_coordinator(f"file://{folder}/tooz", name)
        coordinator.start()
        members.append(coordinator)
    tooz = tuple(member.get_lock(b"lock").acquire(blocking=False) for member in members)
print("fasteners:", *locks, "| another process:", other, "| tooz:", *tooz)
assert (locks, other, tooz) == ((True, True), "False", (True, True)), "locks keep one process's objects apart now"
PY
