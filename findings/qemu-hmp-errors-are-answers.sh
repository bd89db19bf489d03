#!/usr/bin/env bash
# QEMU 7.2 (Debian 12) with qemu.qmp 0.0.6: commands of the human monitor by way of QMP, as for savevm and delvm; no guest runs.
# Guess: human-monitor-command that fails is a QMP error, as every other command is.
# Behaviour: it always succeeds, and what went wrong is its answer's text, of three kinds: "Error: ...", a sentence without that word, and
#   nothing at all, as for the deletion of a snapshot that isn't there. The same by QMP's own command raises.
# Seen: device_del: "Error: Device 'x' not found"; commit: "Device 'x' not found"; delvm: ''; QMP's device_del: ExecuteError.
set -euo pipefail
qemu-system-x86_64 --version 2> /dev/null | grep -q 'version 7\.2\.' || { echo "this is about QEMU 7.2 (package qemu-system-x86)"; exit 2; }
work=$(mktemp -d); trap '[ ! -e "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check qemu.qmp==0.0.6
qemu-system-x86_64 -machine none -nodefaults -display none -S -daemonize -pidfile "$work/pid" -qmp "unix:$work/qmp,server=on,wait=off"
timeout 60 "$work/venv/bin/python" - "$work/qmp" <<'PY'
import asyncio
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main():
    monitor = QMPClient()
    await monitor.connect(sys.argv[1])
    seen = {}
    for line in ("device_del x", "savevm x", "commit x", "delvm x", "stop"):
        seen[line] = (await monitor.execute("human-monitor-command", {"command-line": line})).strip()
    try:
        by_qmp = await monitor.execute("device_del", {"id": "x"})
    except ExecuteError as error:
        by_qmp = f"{type(error).__name__}: {error}"
    await monitor.disconnect()
    for line, answer in seen.items():
        print(f"{line:<13} {answer!r}")
    print("by QMP:      ", by_qmp)
    assert seen == {
        "device_del x": "Error: Device 'x' not found",
        "savevm x": "Error: no block device can store vmstate for snapshot",
        "commit x": "Device 'x' not found",
        "delvm x": "",
        "stop": "",
    }, "the human monitor answers otherwise now"
    assert by_qmp == "ExecuteError: Device 'x' not found"


asyncio.run(main())
PY
