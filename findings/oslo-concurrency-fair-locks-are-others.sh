#!/usr/bin/env bash
# oslo.concurrency 7.6.1, lockutils.lock(name, fair=True): fairness is an option of the lock.
# Guess: it says who is next; whoever holds the lock of a name keeps out all others who ask for that name.
# Behaviour: fair locks live in a table of their own. While one caller holds the fair lock of a name, another one that asks for the same
#   name without fairness is let in at once, and nothing is said.
# Seen: held plain, asked for plain: one at a time; held fair, asked for plain: both in.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.concurrency==7.6.1
"$work/bin/python" -W ignore - <<'PY'
import threading

from oslo_concurrency import lockutils


def both_in(fair):
    entered = threading.Event()

    def other():
        with lockutils.lock("instance-1"):
            entered.set()

    thread = threading.Thread(target=other)
    with lockutils.lock("instance-1", fair=fair):
        thread.start()
        together = entered.wait(2)
    thread.join()
    return together


seen = {fair: both_in(fair) for fair in (False, True)}
for fair, together in seen.items():
    print(f"held with fair={fair}, asked for without: both in at once: {together}")
assert seen == {False: False, True: True}, "they keep each other out now"
PY
