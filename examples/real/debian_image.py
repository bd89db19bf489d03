"""Makes a guest of Debian's packages: systemd, cloud-init, an SSH server, the guest agent, and the kernel for clouds.

    python examples/real/debian_image.py DIR       what is missing is named, and installed with --install

makes DIR/disk.raw, DIR/vmlinuz and DIR/initrd.img in one to two minutes, unless they are there. The packages are of the
release and from the mirrors that apt is told of here. The disk is one file system without partitions or a boot loader:
the machine is given the kernel. Without a seed a guest asks for an address by DHCP on its first NIC. Needs root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}
"""What makes the image, and the package of Debian's that has it."""

PACKAGES = (
    "systemd-sysv", "systemd-resolved", "libnss-resolve", "dbus", "udev", "netplan.io", "iproute2", "iputils-ping",
    "linux-image-cloud-amd64", "initramfs-tools", "zstd", "cloud-init", "openssh-server", "qemu-guest-agent", "sudo",
)  # fmt: skip
"""What is in it, beside what Debian calls essential and what all of these depend on."""

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")

CLOUD_CONFIG = """\
# Where the instance's data are looked for; "None" is a guest without any, which asks for an address by DHCP.
datasource_list: [NoCloud, None]
manage_etc_hosts: true
# The only one there is without the package `locales`.
locale: C.UTF-8
# A key of RSA takes long to make where the processor is emulated.
ssh_genkeytypes: [ed25519]
"""

SIZE = "1G"
"""Of the file system; cloud-init makes it as large as the disk that it is on."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--install", action="store_true", help="install what is missing with apt-get")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("debian_image: needs root", file=sys.stderr)
        return 2
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing and not given.install:
        print(f"debian_image: not installed: {' '.join(missing)}; --install does it with apt-get", file=sys.stderr)
        return 2
    if missing:
        print(f"installing {' '.join(missing)}")
        _run("apt-get", "update", "-q")
        _run("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing)
    print(*make(given.directory), sep="\n")
    return 0


def make(directory: Path) -> tuple[Path, Path, Path]:
    """The disk, the kernel and the initramfs, made where they are not there. Ends the program where that fails."""
    disk, kernel, initrd = (directory / name for name in ("disk.raw", "vmlinuz", "initrd.img"))
    if not disk.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            # apt-get drops its rights for a download, and must get there all the same.
            Path(scratch).chmod(0o755)
            root, made = Path(scratch, "root"), Path(scratch, "disk")
            _unpack(root)
            _settle(root)
            print(f"making {disk}, a file system of {SIZE}")
            _run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(made), SIZE)
            shutil.copy(next(root.glob("boot/vmlinuz-*")), kernel)
            shutil.copy(next(root.glob("boot/initrd.img-*")), initrd)
            # Last: it says that the others are there.
            made.rename(disk)
    return disk, kernel, initrd


def _unpack(root: Path) -> None:
    """Install the packages into the directory."""
    sources = _sources()
    # The release itself: the others have its name and more.
    suite = min((line.split()[2] for line in sources), key=len)
    print(f"installing into {root}, from {suite}:\n    {' '.join(PACKAGES)}", flush=True)
    _run(
        # What it mounts is seen by nobody else, and gone however it ends.
        "unshare", "--mount", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
        f"--include={','.join(PACKAGES)}",
        "--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        suite, str(root), *sources,
    )  # fmt: skip


def _sources() -> Sequence[str]:
    """Debian's own among those of this computer, as lines for apt: the release, its updates, its security fixes."""
    found = _run("apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
                 "Identifier: Packages", "Origin: Debian")  # fmt: skip
    sources = list(dict.fromkeys(found.splitlines()))
    if not sources:
        raise SystemExit("debian_image: apt knows no packages of Debian; try apt-get update")
    return sources


def _settle(root: Path) -> None:
    """Let nothing in it be of this computer, or the same in all guests."""
    (root / "etc" / "cloud" / "cloud.cfg.d" / "90_image.cfg").write_text(CLOUD_CONFIG)
    (root / "etc" / "hostname").write_text("debian\n")
    (root / "etc" / "machine-id").write_text("")
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()


def _run(*command: str) -> str:
    """What it prints; or end with its own words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"debian_image: {command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
