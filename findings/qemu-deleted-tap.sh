#!/usr/bin/env bash
# Linux 6.x, any program that has a tap open (QEMU is one): a tap that was deleted under it and made again by the same name.
#
# The guess:      the guest goes on where the tap is there again, as it does when a bridge was deleted and made again.
# What happens:   the program keeps a descriptor of the tap that is gone: what it writes fails (EBADFD), and the new tap has nobody at
#                 its other end. Nothing tells but that the new tap has no carrier.
# Needs root, for a network namespace of its own.
set -euo pipefail
[ "${1:-}" = inside ] || exec unshare --net bash "$0" inside
exec python3 - <<'PYTHON'
import errno
import fcntl
import json
import os
import struct
import subprocess
import sys

TUNSETIFF, TAP_NO_PI = 0x400454CA, 0x0002 | 0x1000


def carrier() -> bool:
    shown = subprocess.run(["ip", "-json", "link", "show", "tap0"], check=True, capture_output=True, text=True).stdout
    return "NO-CARRIER" not in json.loads(shown)[0]["flags"]


def make() -> None:
    subprocess.run(["ip", "tuntap", "add", "tap0", "mode", "tap"], check=True)
    subprocess.run(["ip", "link", "set", "tap0", "up"], check=True)


make()
guest = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(guest, TUNSETIFF, struct.pack("16sH22x", b"tap0", TAP_NO_PI))
assert carrier()
subprocess.run(["ip", "link", "del", "tap0"], check=True)
make()
try:
    os.write(guest, bytes(60))
    error = 0
except OSError as failed:
    error = failed.errno
print(f"carrier of the new tap: {carrier()}; the old descriptor's write: {errno.errorcode.get(error, 'works')}")
sys.exit((carrier(), error) != (False, errno.EBADFD))
PYTHON
