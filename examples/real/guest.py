"""Makes the least guest that is a real one: Debian's kernel for clouds, and an initramfs of busybox and virtio drivers.

    python examples/real/guest.py DIR

makes DIR/vmlinuz and DIR/initrd.gz in a few seconds, unless they are there. The kernel is downloaded as a package with
apt-get and unpacked, not installed; needs busybox-static and cpio. The guest asks for an address by DHCP on each NIC,
and writes what it finds to its first serial port, last of all a line that starts with `slipway-guest: ready`. With
`slipway.ping=ADDRESS,...` on its kernel's command line it pings those once a second from then on, and says when that
changes: `slipway-guest: ping ADDRESS ok` or `no`. With `slipway.write=vdb` it says, before it is ready, what that disk
begins with, `slipway-guest: read vdb TEXT`, and writes `written by the guest` at its byte 512. Programs in /start of a
second initramfs put after this one are started as well.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "linux-image-cloud-amd64"

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/acpi/button",
    "drivers/input/evdev",
    "drivers/char/virtio_console",
)
"""In an order in which each finds what it needs."""

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
# The kernel would write into the midst of lines.
dmesg -n 1
say() { echo "slipway-guest: $*" > /dev/ttyS0; }
keep_pinging() {
    before=
    while sleep 1; do
        if ping -c 1 -W 1 $1 > /dev/null 2>&1; then now=ok; else now=no; fi
        [ $now = "$before" ] || say "ping $1 $now"
        before=$now
    done
}
for disk in /sys/block/vd*; do
    [ -e "$disk" ] || continue
    label=$(dd if=/dev/$(basename $disk) bs=1 skip=32808 count=32 2>/dev/null | tr -cd a-z)
    say "disk $(basename $disk) $(($(cat $disk/size) * 512)) $label"
done
for nic in /sys/class/net/eth*; do
    [ -e "$nic" ] || continue
    name=$(basename $nic)
    ip link set $name up
    udhcpc -i $name -q -n -t 10 -T 1 -s /bin/lease > /dev/null 2>&1
    say "nic $name $(cat $nic/address) $(ip -4 -o address show $name | awk '{print $4}')"
done
for program in /start/*; do [ ! -x $program ] || $program & done
for word in $(cat /proc/cmdline); do
    case $word in slipway.write=*)
        disk=${word#*=}
        say "read $disk $(head -c 512 /dev/$disk | tr -cd 'a-z ')"
        printf 'written by the guest' | dd of=/dev/$disk bs=1 seek=512 conv=notrunc 2> /dev/null
        sync
    esac
done
say "ready after $(cut -d' ' -f1 /proc/uptime) s"
for word in $(cat /proc/cmdline); do
    case $word in slipway.ping=*)
        for address in $(echo ${word#*=} | tr , ' '); do keep_pinging $address & done
    esac
done
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\\npoweroff -f\\n' > /etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
exec acpid -d -l /dev/null
"""

LEASE = """\
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
[ -z "$router" ] || ip route add default via $router
"""


def make(directory: Path) -> tuple[Path, Path]:
    """The kernel and the initramfs, made where they are not there. Raises `CalledProcessError`, `OSError`."""
    kernel, initrd = directory / "vmlinuz", directory / "initrd.gz"
    if not initrd.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            unpacked = unpack_kernel(Path(scratch))
            shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), kernel)
            _initramfs(Path(scratch, "root"), next(unpacked.glob("lib/modules/*/kernel")), initrd)
    return kernel, initrd


def unpack_kernel(scratch: Path) -> Path:
    """Download the kernel with its modules; gives the directory that has them."""
    depends = _run("apt-cache", "depends", PACKAGE)
    # Debian's name is of a package without content that depends on the kernel's own.
    name = next(word for word in depends.split() if word.startswith("linux-image-") and word != PACKAGE)
    return unpack(name, scratch)


def unpack(name: str, scratch: Path) -> Path:
    """Download a package; gives the directory that has its files."""
    # apt-get drops its rights for a download where it can; this directory is ours alone.
    _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name, cwd=scratch)
    _run("dpkg-deb", "-x", next(scratch.glob(f"{name}_*.deb")).name, name, cwd=scratch)
    return scratch / name


def _initramfs(root: Path, modules: Path, to: Path) -> None:
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    names = []
    for module in MODULES:
        # Built into some kernels.
        if (file := modules / f"{module}.ko").exists():
            shutil.copy(file, root / "modules")
            names.append(file.name)
    (root / "modules" / "order").write_text("\n".join(names))
    for name, text in (("init", INIT), ("bin/lease", LEASE)):
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    to.write_bytes(archive(root))


def archive(root: Path) -> bytes:
    """An initramfs of all that is in the directory."""
    listing = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        cwd=root,
        input=listing.encode(),
        capture_output=True,
        check=True,
    )
    return gzip.compress(packed.stdout, 1)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    print(*make(Path(sys.argv[1])), sep="\n")
