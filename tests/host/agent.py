"""The guest with Debian's qemu-guest-agent in it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from examples.real.guest import archive, unpack
from tests.conftest import Guest

_START = """\
#!/bin/sh
port=$(basename /sys/class/virtio-ports/vport*)
exec /bin/qemu-ga -m virtio-serial -p /dev/$port -f /tmp/agent.pid -t /tmp -F/bin/told
"""
_TOLD = """\
#!/bin/sh
echo "slipway-guest: agent $1" > /dev/ttyS0
"""
"""What the agent calls with `freeze` before it freezes, and with `thaw` when it has thawed."""


def with_agent(guest: Guest) -> Guest:
    """The same kernel; the agent is in a second initramfs after the first one, with the libraries that it needs.

    Made once, beside the guest, for it is downloaded as well.
    """
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    initrd = guest.initrd.with_name(f"initrd-agent-{digest}.gz")
    if not initrd.exists():
        _make(guest, initrd)
    return Guest(guest.kernel, initrd)


def _make(guest: Guest, initrd: Path) -> None:
    with tempfile.TemporaryDirectory(dir=initrd.parent) as scratch:
        agent = unpack("qemu-guest-agent", Path(scratch)) / "usr" / "sbin" / "qemu-ga"
        root = Path(scratch, "root")
        for program, to in ((agent, "bin"), *((library, library.parent) for library in libraries(agent))):
            (root / str(to).lstrip("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(program, root / str(to).lstrip("/"))
        (root / "start").mkdir()
        (root / "start" / "agent").write_text(_START)
        (root / "start" / "agent").chmod(0o755)
        (root / "bin" / "told").write_text(_TOLD)
        (root / "bin" / "told").chmod(0o755)
        made = Path(scratch, "initrd.gz")
        made.write_bytes(guest.initrd.read_bytes() + archive(root))
        made.rename(initrd)


def libraries(program: Path) -> list[Path]:
    """What it is linked with."""
    told = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    assert "not found" not in told, told
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", told)]
