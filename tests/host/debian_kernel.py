"""Runs a program of this machine under Debian's kernel, which has what the machine's own may lack: VLANs, say.

A guest is booted under TCG. Its root is the machine's own, read-only over virtiofs, with an overlay in its memory.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from examples.real import guest
from tests.conftest import BOOT
from tests.host.libvirtd import WITH_US
from tests.waiting import PATIENCE, until

VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")

_ROOT = ("virtio_pci", "virtiofs", "overlay")
_NETWORK = ("8021q", "bridge", "veth", "tun", "vxlan", "dummy")
_FILTERS = (
    "nf_tables",
    "nf_conntrack_bridge",
    "nft_ct",
    "nft_meta_bridge",
    "nft_reject_bridge",
    "nft_limit",
    "nft_log",
)
_ENDED = re.compile(r"^slipway-exit: (\d+)$", re.MULTILINE)

_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /below /above /root
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
mount -t virtiofs -o ro machine /below
mount -t tmpfs memory /above
mkdir /above/changed /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/changed,workdir=/above/work root /root
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mount -t tmpfs memory /root/run
mkdir /root/dev/shm /root/dev/pts
mount -t tmpfs memory /root/dev/shm
mount -t devpts pts /root/dev/pts
ip link set lo up
chroot /root /bin/sh {script} > /dev/ttyS0 2>&1
echo "slipway-exit: $?" > /dev/ttyS0
poweroff -f
"""


def run_under_debian_kernel(command: Sequence[str], *, cwd: Path, scratch: Path, within: float) -> tuple[int, str]:
    """The command's exit code and what it wrote. `within`: seconds until it is given up."""
    script = scratch / "command.sh"
    script.write_text(f"cd {shlex.quote(str(cwd))}\nexec {shlex.join(command)}\n")
    kernel, initrd = _image(scratch, _INIT.replace("{script}", str(script)))
    said = scratch / "said"
    hardware = ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2", "-m", "2G"]
    # virtiofsd reads and writes it.
    memory = ["-object", "memory-backend-memfd,id=memory,size=2G,share=on", "-numa", "node,memdev=memory"]
    boot = ["-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{BOOT} quiet panic=-1", "-no-reboot"]
    console = ["-nodefaults", "-display", "none", "-serial", f"file:{said}"]
    with _shared_root(scratch) as socket:
        root = ["-chardev", f"socket,id=root,path={socket}", "-device", "vhost-user-fs-pci,chardev=root,tag=machine"]
        qemu = [*WITH_US, "qemu-system-x86_64", *hardware, *memory, *boot, *console, *root]
        subprocess.run(qemu, check=True, timeout=within)
    text = said.read_text(errors="replace").replace("\r\n", "\n")
    ended = _ENDED.search(text)
    assert ended is not None, text
    return int(ended[1]), text[: ended.start()]


@contextmanager
def _shared_root(scratch: Path) -> Iterator[Path]:
    socket = scratch / "root.sock"
    options = ["-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"]
    daemon = subprocess.Popen(
        [*WITH_US, VIRTIOFSD, f"--socket-path={socket}", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(socket.exists, "virtiofsd")
        yield socket
    finally:
        # It ends when QEMU does.
        daemon.terminate()
        daemon.wait(PATIENCE)


def _image(scratch: Path, init: str) -> tuple[Path, Path]:
    """Debian's kernel, and an initramfs with the drivers that are needed."""
    unpacked = guest.unpack_kernel(scratch)
    root = scratch / "initramfs"
    for directory in ("bin", "modules"):
        (root / directory).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    there = {path.stem.replace("-", "_"): path for path in unpacked.glob("lib/modules/*/kernel/**/*.ko")}
    order: list[Path] = []
    for module in (*_ROOT, *_NETWORK, *_FILTERS):
        with_needed(module, there, order)
    for path in order:
        shutil.copy(path, root / "modules")
    (root / "modules" / "order").write_text("\n".join(path.name for path in order))
    (root / "init").write_text(init)
    (root / "init").chmod(0o755)
    packed = scratch / "initrd.gz"
    packed.write_bytes(guest.archive(root))
    return next(unpacked.glob("boot/vmlinuz-*")), packed


def with_needed(module: str, there: dict[str, Path], order: list[Path]) -> None:
    """Put the module, after those that it says it needs, into the order. Not there: it is built in."""
    path = there.get(module)
    if path is None or path in order:
        return
    needs = re.search(rb"\0depends=([\w,-]*)\0", path.read_bytes())
    assert needs is not None, path
    for needed in needs[1].decode().replace("-", "_").split(","):
        with_needed(needed, there, order)
    order.append(path)
