#!/usr/bin/env bash
# qemu.qmp 0.0.6, QEMU's own client of QMP, with QEMU 7.2 (Debian 12); no guest runs. A guest that is ended in order, with "quit".
# Guess: execute("quit") is answered, and disconnect() puts an end to a connection that is over anyway. A listener for an event that
#   does not exist is an error.
# Behaviour: quit is answered, but disconnect() raises EOFError: a clean end looks like a lost connection, and whoever closes in a finally
#   clause has it in place of what went before. Names of events are not checked: a listener for "STOPPED" never hears anything.
# Seen: quit {}; disconnect(): EOFError; a second disconnect(): nothing; after a stop: STOP 1 event, STOPPED none.
set -euo pipefail
qemu-system-x86_64 --version 2> /dev/null | grep -q 'version 7\.2\.' || { echo "this is about QEMU 7.2 (package qemu-system-x86)"; exit 2; }
work=$(mktemp -d); trap '[ ! -e "$work/pid" ] || kill "$(cat "$work/pid")" || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check qemu.qmp==0.0.6
qemu-system-x86_64 -machine none -nodefaults -display none -daemonize -pidfile "$work/pid" -qmp "unix:$work/qmp,server=on,wait=off"
timeout 60 "$work/venv/bin/python" - "$work/qmp" 2> "$work/said" <<'PY' || { cat "$work/said"; exit 1; }
import asyncio
import sys

from qemu.qmp import QMPClient


async def ended(monitor):
    try:
        await monitor.disconnect()
    except Exception as error:
        return type(error).__name__
    return "nothing"


async def main():
    monitor = QMPClient()
    await monitor.connect(sys.argv[1])
    with monitor.listener("STOP") as right, monitor.listener("STOPPED") as misspelt:
        await monitor.execute("stop")
        await asyncio.sleep(0.5)
        heard = [not right.empty(), not misspelt.empty()]
    answer = await monitor.execute("quit")
    await asyncio.sleep(1)
    first, second = await ended(monitor), await ended(monitor)
    print(f"heard of STOP and of STOPPED: {heard}; quit: {answer}; disconnect(): {first}; again: {second}")
    assert heard == [True, False], "names of events are checked now"
    assert (answer, first, second) == ({}, "EOFError", "nothing"), "an end in order is none that raises now"


asyncio.run(main())
PY
