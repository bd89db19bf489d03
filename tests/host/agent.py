"""The guest with Debian's qemu-guest-agent in it."""

from __future__ import annotations

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
exec /bin/qemu-ga -m virtio-serial -p /dev/$port -f /tmp/agent.pid -t /tmp
"""


def with_agent(guest: Guest, directory: Path) -> Guest:
    """The same kernel; the agent is in a second initramfs after the first one, with the libraries that it needs."""
    initrd = directory / "initrd-agent.gz"
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        agent = unpack("qemu-guest-agent", Path(scratch)) / "usr" / "sbin" / "qemu-ga"
        root = Path(scratch, "root")
        for program, to in ((agent, "bin"), *((library, library.parent) for library in _libraries(agent))):
            (root / str(to).lstrip("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(program, root / str(to).lstrip("/"))
        (root / "start").mkdir()
        (root / "start" / "agent").write_text(_START)
        (root / "start" / "agent").chmod(0o755)
        initrd.write_bytes(guest.initrd.read_bytes() + archive(root))
    return Guest(guest.kernel, initrd)


def _libraries(program: Path) -> list[Path]:
    told = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    assert "not found" not in told, told
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", told)]
