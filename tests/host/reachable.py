"""The guest with what people reach: Debian's sshd and agent, a web server, and a shell on its first serial port."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from examples.real.guest import archive
from tests.conftest import Guest
from tests.host.agent import libraries, with_agent

PROGRAMS = ("/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/scp", "/usr/bin/ssh-keygen")

_START = {
    "sshd": """\
#!/bin/sh
mkdir -p /dev/pts /run/sshd /var/empty /root
mount -t devpts devpts /dev/pts
ip link set lo up
{
    echo "-----BEGIN SSH HOST KEY KEYS-----"
    cat /etc/ssh/ssh_host_ed25519_key.pub
    echo "-----END SSH HOST KEY KEYS-----"
} > /dev/ttyS0
/usr/sbin/sshd -E /tmp/sshd.log -f /etc/ssh/sshd_config
""",
    "web": "#!/bin/sh\nexec httpd -f -p 80 -h /www\n",
    "shell": "#!/bin/sh\nwhile :; do setsid cttyhack sh < /dev/ttyS0 > /dev/ttyS0 2>&1; done\n",
}
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UsePAM no
Subsystem sftp /usr/lib/openssh/sftp-server
"""
PAGE = "written in the guest\n"


class Reachable(NamedTuple):
    """The guest, the file with the private key by which one logs in as root, and its public host key."""

    guest: Guest
    key: Path
    host_key: str


def missing() -> str | None:
    """Why there can be none."""
    absent = [program for program in PROGRAMS if not Path(program).exists()]
    return f"not installed: {', '.join(absent)}" if absent else None


def reachable(guest: Guest) -> Reachable:
    """Made once, beside the guest, as the one with an agent is."""
    base = with_agent(guest)
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    directory = guest.initrd.with_name(f"reachable-{digest}")
    if not directory.exists():
        with tempfile.TemporaryDirectory(dir=guest.initrd.parent) as scratch:
            made = Path(scratch, "made")
            made.mkdir()
            _make(base, made, Path(scratch, "root"))
            made.rename(directory)
    host_key = (directory / "host.pub").read_text().rsplit(" ", 1)[0]
    return Reachable(Guest(guest.kernel, directory / "initrd.gz"), directory / "key", host_key)


def _make(base: Guest, made: Path, root: Path) -> None:
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", made / name], check=True)
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n",
        "etc/group": "root:x:0:\nnogroup:x:65534:\n",
        "etc/ssh/sshd_config": _SSHD,
        "etc/ssh/ssh_host_ed25519_key": (made / "host").read_text(),
        "etc/ssh/ssh_host_ed25519_key.pub": (made / "host.pub").read_text(),
        "root/.ssh/authorized_keys": (made / "key.pub").read_text(),
        "www/index.html": PAGE,
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o600 if text.startswith("-----BEGIN") else 0o644)
    for name, text in _START.items():
        (root / "start").mkdir(exist_ok=True)
        (root / "start" / name).write_text(text)
        (root / "start" / name).chmod(0o755)
    # Newer ones have their sessions in programs of their own.
    helpers = [Path("/usr/lib/openssh", name) for name in ("sftp-server", "sshd-session", "sshd-auth")]
    programs = [Path("/usr/sbin/sshd"), *(path for path in helpers if path.exists())]
    for file in sorted({one for program in programs for one in (program, *libraries(program))}):
        (root / str(file.parent).lstrip("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / str(file).lstrip("/"))
    (made / "initrd.gz").write_bytes(base.initrd.read_bytes() + archive(root))
