"""What the qcow2 driver does beyond the contract: images, hostile ones among them, modes, and the seed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.errors import DiskError, FlavorDiskTooSmall, ImageUnacceptable
from slipway.model.machine import DiskRequest, DiskRole, Seed
from slipway.model.request import Host, Image, Volume
from tests.waiting import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed"),
]

MIB = 1 << 20
HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
SECRET = "the secret of the host"


def qemu_img(*arguments: object) -> str:
    return subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def info(path: str) -> Any:
    return json.loads(qemu_img("info", "--output=json", path))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A qcow2 image of 10 MiB with something in it."""
    content, path = tmp_path / "content", tmp_path / "image.qcow2"
    content.write_bytes(b"something".ljust(10 * MIB, b"\0"))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", content, path)
    content.unlink()
    return path


def root(path: Path | str, size: int = 20 * MIB, **more: Any) -> DiskRequest:
    return DiskRequest("one", 0, DiskRole.ROOT, size, Image("img", path=str(path), **{"format": "qcow2", **more}))


def driver(tmp_path: Path) -> Qcow2Disk:
    return Qcow2Disk(HOST, tmp_path / "state", "slipway")


def kept(tmp_path: Path) -> list[str]:
    """What is in the cache and among the disks."""
    return sorted(
        path.name
        for top in ("images", "disks")
        for path in (tmp_path / "state" / top).rglob("[!.]*")
        if path.is_file() and path.suffix != ".json"
    )


def test_a_disk_is_an_overlay_on_the_cached_image(tmp_path: Path, image: Path) -> None:
    disk = driver(tmp_path).create_disk(root(image))
    found = info(disk.path)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    assert (disk.size, found["virtual-size"]) == (20 * MIB, 20 * MIB)
    assert found["backing-filename"] == str(tmp_path / "state" / "images" / digest)
    assert found["backing-filename-format"] == "qcow2"
    content = tmp_path / "read"
    qemu_img("convert", "-O", "raw", disk.path, content)
    assert content.read_bytes()[:9] == b"something"


def test_an_image_is_copied_once_and_again_when_it_changed(tmp_path: Path, image: Path) -> None:
    disks = driver(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        requests = [replace(root(image), instance_id=str(number)) for number in range(8)]
        list(pool.map(disks.create_disk, requests))
    (cached,) = [name for name in kept(tmp_path) if not name.endswith(".qcow2")]
    before = (tmp_path / "state" / "images" / cached).stat()
    driver(tmp_path).create_disk(replace(root(image), instance_id="later"))
    # Its times say when it was used last.
    assert (tmp_path / "state" / "images" / cached).stat().st_ino == before.st_ino
    qemu_img("resize", image, 12 * MIB)
    driver(tmp_path).create_disk(replace(root(image), instance_id="last"))
    assert len([name for name in kept(tmp_path) if not name.endswith(".qcow2")]) == 2


def test_a_disk_stays_when_its_image_is_gone(tmp_path: Path, image: Path) -> None:
    disk = driver(tmp_path).create_disk(root(image))
    image.unlink()
    assert driver(tmp_path).create_disk(root(image)) == disk
    digest = Path(info(disk.path)["backing-filename"]).name
    other = replace(root(image, sha256=digest.upper()), instance_id="two")
    assert driver(tmp_path).create_disk(other).size == 20 * MIB


def test_a_raw_image_and_a_file_url(tmp_path: Path) -> None:
    raw = tmp_path / "raw image"
    with open(raw, "wb") as file:
        file.write(b"boot")
        file.truncate(50 * MIB)
    url = f"file://{str(raw).replace(' ', '%20')}"
    disk = driver(tmp_path).create_disk(root(url, 50 * MIB, format="raw"))
    found = info(disk.path)
    assert found["backing-filename-format"] == "raw"
    assert os.stat(found["backing-filename"]).st_size == 50 * MIB
    assert os.stat(found["backing-filename"]).st_blocks * 512 <= 2 * MIB, "holes stay holes"


# --- what is refused ------------------------------------------------------------------------------------------------


def with_backing_file(tmp_path: Path, image: Path) -> Image:
    path = tmp_path / "hostile.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", tmp_path / "secret", path, 10 * MIB)
    return Image("img", path=str(path), format="qcow2")


def with_data_file(tmp_path: Path, image: Path) -> Image:
    path = tmp_path / "hostile.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on", path, 10 * MIB)
    return Image("img", path=str(path), format="qcow2")


def a_pipe(tmp_path: Path, image: Path) -> Image:
    os.mkfifo(tmp_path / "pipe")
    return Image("img", path=str(tmp_path / "pipe"), format="raw")


def cut_off(tmp_path: Path, image: Path) -> Image:
    os.truncate(image, 100)
    return Image("img", path=str(image), format="qcow2")


def cut_off_in_its_data(tmp_path: Path, image: Path) -> Image:
    os.truncate(image, image.stat().st_size - (128 << 10))
    return Image("img", path=str(image), format="qcow2")


def changed(at: int, value: bytes) -> Callable[[Path, Path], Image]:
    """The image with other bytes at a place."""

    def make(tmp_path: Path, image: Path) -> Image:
        with open(image, "r+b") as file:
            file.seek(at)
            file.write(value)
        return Image("img", path=str(image))

    return make


def with_a_damaged_table(tmp_path: Path, image: Path) -> Image:
    table = int.from_bytes(image.read_bytes()[40:48])
    return changed(table, (1 << 63 | 0x7FFF0000).to_bytes(8))(tmp_path, image)


def encrypted(tmp_path: Path, image: Path) -> Image:
    path = tmp_path / "hostile.qcow2"
    secret = ["--object", "secret,id=s,data=key", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"]
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *secret, str(path), str(10 * MIB)]
    # It measures how fast the processor is, and gives up where that is busy.
    until(lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0, "qemu-img's measurement")
    return Image("img", path=str(path), format="qcow2")


def empty(form: str) -> Callable[[Path, Path], Image]:
    def make(tmp_path: Path, image: Path) -> Image:
        qemu_img("create", "-f", form, tmp_path / "empty", 0)
        return Image("img", path=str(tmp_path / "empty"), format=form)

    return make


HOSTILE: dict[str, tuple[Callable[[Path, Path], Image], str]] = {
    "backing file": (with_backing_file, "has a backing file"),
    "data file": (with_data_file, "has an external data file"),
    "raw that is qcow2": (lambda t, i: Image("img", path=str(i), format="raw"), "its first bytes say otherwise"),
    "qcow2 that is raw": (lambda t, i: Image("img", path=str(t / "secret"), format="qcow2"), "first bytes"),
    "no format": (lambda t, i: Image("img", path=str(t / "secret")), "say format: raw"),
    "another format": (lambda t, i: Image("img", path=str(i), format="vmdk"), "has format vmdk"),
    "digest": (lambda t, i: Image("img", path=str(i), format="qcow2", sha256="0" * 64), "not 0000"),
    "digest that is a path": (lambda t, i: Image("img", path=str(i), sha256="../../secret"), "is not a sha256"),
    "pipe": (a_pipe, "is not a file"),
    "directory": (lambda t, i: Image("img", path=str(t), format="raw"), "is not a file"),
    "absent": (lambda t, i: Image("img", path=str(t / "absent"), format="raw"), "No such file"),
    "url": (lambda t, i: Image("img", path="nbd://127.0.0.1/x", format="raw"), "neither a path nor"),
    "cut off": (cut_off, "cannot be read"),
    "cut off in its data": (cut_off_in_its_data, "is damaged or cut off: qemu-img check finds [0-9]+ errors"),
    "damaged table": (with_a_damaged_table, "is damaged or cut off"),
    "marked as corrupt": (changed(72, (1 << 1).to_bytes(8)), "is marked as corrupt"),
    "feature of the future": (changed(72, (1 << 40).to_bytes(8)), "cannot be read: .*feature"),
    "impossible clusters": (changed(20, (40).to_bytes(4)), "cannot be read: .*cluster size"),
    "encrypted": (encrypted, "is encrypted"),
    "empty qcow2": (empty("qcow2"), "is empty"),
    "empty raw": (empty("raw"), "is empty"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_image_that_nobody_may_use(tmp_path: Path, image: Path, what: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    make, text = HOSTILE[what]
    request = replace(root(image), image=make(tmp_path, image))
    for _ in range(2):
        with pytest.raises(ImageUnacceptable, match=f"^image img.*{text}") as caught:
            driver(tmp_path).create_disk(request)
        assert SECRET not in str(caught.value)
    assert not any(name.endswith(".qcow2") for name in kept(tmp_path))
    assert list(driver(tmp_path).list_disks()) == []


def test_leaked_clusters_are_no_errors(tmp_path: Path, image: Path) -> None:
    with open(image, "r+b") as file:
        file.seek(48)
        table = int.from_bytes(os.pread(file.fileno(), 8, 48))
        block = int.from_bytes(os.pread(file.fileno(), 8, table))
        clusters = image.stat().st_size // (64 << 10)
        os.pwrite(file.fileno(), b"\0\1", block + 2 * clusters)
        os.truncate(image, (clusters + 1) * (64 << 10))
    checked = subprocess.run(["qemu-img", "check", image], capture_output=True, check=False)
    assert checked.returncode == 3
    assert driver(tmp_path).create_disk(root(image)).size == 20 * MIB


def test_an_image_that_is_larger_than_the_disk(tmp_path: Path, image: Path) -> None:
    with pytest.raises(FlavorDiskTooSmall, match="image img has 10485760 bytes, the disk for it 5242880"):
        driver(tmp_path).create_disk(root(image, 5 * MIB))
    with pytest.raises(FlavorDiskTooSmall, match="image img has 10485760 bytes, the disk for it 5242880"):
        driver(tmp_path).check_image(Image("img", path=str(image)), 5 * MIB)
    with pytest.raises(ImageUnacceptable, match="said to be raw, and its first bytes say otherwise"):
        driver(tmp_path).check_image(Image("img", path=str(image), format="raw"), 20 * MIB)
    assert not driver(tmp_path).list_disks()


def test_no_id_leads_out_of_the_directory(tmp_path: Path) -> None:
    ids = ["../../up", "..", "/etc/passwd", "a b", "-x"]
    paths = [driver(tmp_path).create_disk(DiskRequest(name, 0, DiskRole.DATA, MIB)).path for name in ids]
    assert {str(Path(path).resolve().parent) for path in paths} == {str(tmp_path / "state" / "disks" / "node-1")}
    assert sorted(disk.instance_id for disk in driver(tmp_path).list_disks()) == sorted(ids)


def test_a_link_is_not_ours(tmp_path: Path) -> None:
    disks = tmp_path / "state" / "disks" / "node-1"
    disks.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text(SECRET)
    (disks / "one-0.qcow2").symlink_to(victim)
    with pytest.raises(DiskError, match="is not ours"):
        driver(tmp_path).create_disk(DiskRequest("one", 0, DiskRole.DATA, MIB))
    driver(tmp_path).delete_disk("one", 0)
    assert (disks / "one-0.qcow2").is_symlink()
    assert victim.read_text() == SECRET


# --- by http ---------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves one file on loopback; the first answer breaks off in the middle."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked: list[str | None] = []
        self.breaks, self.knows_ranges = True, True
        self.refusal: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/image.qcow2"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.server.refusal is not None:
            self.send_response(self.server.refusal)
            self.send_header("Location", "file:///etc/hostname")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = asked if self.server.knows_ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        rest = self.server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if self.server.breaks and not asked else rest)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server passes
        """Nothing."""


@pytest.fixture
def server(image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(image.read_bytes()) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_download_that_broke_off_is_gone_on_with(tmp_path: Path, server: Server) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    half = len(server.content) // 2
    with pytest.raises(DiskError, match=f"image img: {server.url} broke off and can be gone on with"):
        driver(tmp_path).create_disk(root(server.url, sha256=digest))
    disk = driver(tmp_path).create_disk(root(server.url, sha256=digest))
    assert Path(info(disk.path)["backing-filename"]).read_bytes() == server.content
    assert server.asked == [None, f"bytes={half}-"]
    driver(tmp_path).create_disk(replace(root(server.url, sha256=digest), instance_id="two"))
    assert len(server.asked) == 2
    assert sorted(kept(tmp_path)) == sorted([digest, "one-0.qcow2", "two-0.qcow2"])


def test_a_download_that_is_something_else(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DiskError):
        driver(tmp_path).create_disk(root(server.url, sha256="0" * 64))
    with pytest.raises(ImageUnacceptable, match=r"the sha256 of http://127\.0\.0\.1:.* not 0000"):
        driver(tmp_path).create_disk(root(server.url, sha256="0" * 64))
    assert kept(tmp_path) == []
    with pytest.raises(ImageUnacceptable, match="an image by http needs its sha256"):
        driver(tmp_path).create_disk(root(server.url))


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (404, ImageUnacceptable, "404 Not Found"),
        (410, ImageUnacceptable, "410 Gone"),
        (503, DiskError, "503 Service Unavailable"),
        (302, ImageUnacceptable, "it sends us on to a URL of file:, which is not followed"),
    ],
)
def test_a_server_that_gives_nothing_leaves_nothing(
    tmp_path: Path, server: Server, code: int, kind: type[Exception], text: str
) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    server.refusal, server.breaks = code, False
    with pytest.raises(kind, match=f"(?s)^image img: {server.url}: {text}") as caught:
        driver(tmp_path).create_disk(root(server.url, sha256=digest))
    assert type(caught.value) is kind
    assert kept(tmp_path) == []
    server.refusal = None
    assert driver(tmp_path).create_disk(root(server.url, sha256=digest)).size == 20 * MIB


def test_a_server_that_knows_no_ranges_sends_all_again(tmp_path: Path, server: Server) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    server.knows_ranges = False
    with pytest.raises(DiskError, match="broke off"):
        driver(tmp_path).create_disk(root(server.url, sha256=digest))
    server.breaks = False
    disk = driver(tmp_path).create_disk(root(server.url, sha256=digest))
    assert Path(info(disk.path)["backing-filename"]).read_bytes() == server.content


# --- modes, leftovers, the seed -------------------------------------------------------------------------------------


def test_everything_is_private_under_any_umask(tmp_path: Path, image: Path) -> None:
    before = os.umask(0)
    try:
        driver(tmp_path).create_disk(root(image))
        driver(tmp_path).create_disk(DiskRequest("one", 1, DiskRole.DATA, MIB))
        driver(tmp_path).create_disk(DiskRequest("one", 2, DiskRole.SEED, 0, seed=Seed("x", "{}", "{}")))
    finally:
        os.umask(before)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "state").rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_what_a_killed_writer_left_is_replaced_and_deleted(tmp_path: Path) -> None:
    request = DiskRequest("one", 0, DiskRole.DATA, MIB)
    disk = driver(tmp_path).create_disk(request)
    left = Path(disk.path + ".tmp")
    os.rename(disk.path, left)
    assert list(driver(tmp_path).list_disks()) == []
    driver(tmp_path).delete_disk("one", 0)
    assert not left.exists()
    left.write_text("half a disk")
    assert driver(tmp_path).create_disk(request) == disk
    assert not left.exists()


def test_the_seed_is_what_cloud_init_reads(tmp_path: Path) -> None:
    from pycdlib import PyCdlib

    data = "#cloud-config\nhostname: ü\n"
    given = Seed(data, '{"instance-id": "one"}', '{"version": 2}')
    request = DiskRequest("one", 2, DiskRole.SEED, 0, seed=given)
    disk = driver(tmp_path).create_disk(request)
    assert (disk.format, disk.size) == ("raw", os.stat(disk.path).st_size)
    iso, found = PyCdlib(), {}
    iso.open(disk.path)
    for name in ("user-data", "meta-data", "network-config"):
        content = io.BytesIO()
        iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
        found[name] = content.getvalue().decode()
    assert iso.pvd.volume_identifier.strip() == b"cidata"
    iso.close()
    assert found == {"user-data": data, "meta-data": given.meta_data, "network-config": given.network_config}


def test_a_config_drive_is_where_its_readers_look(tmp_path: Path) -> None:
    from pycdlib import PyCdlib

    given = Seed("", '{"uuid": "one"}', '{"links": []}', config_drive=True)
    disk = driver(tmp_path).create_disk(DiskRequest("one", 2, DiskRole.SEED, 0, seed=given))
    iso = PyCdlib()
    iso.open(disk.path)
    assert iso.pvd.volume_identifier.strip() == b"config-2"
    for how in ("rr_path", "joliet_path"):
        found = {}
        for name in ("meta_data.json", "network_data.json", "vendor_data.json"):
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{how: f"/openstack/latest/{name}"})
            found[name] = content.getvalue().decode()
        assert found == {
            "meta_data.json": given.meta_data,
            "network_data.json": given.network_config,
            "vendor_data.json": "{}",
        }
    iso.close()


NO_ROOM = """
import sys
from pathlib import Path
from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.errors import DiskError
from slipway.model.machine import DiskRequest, DiskRole
from slipway.model.request import Host, Image
state, path, sha256 = sys.argv[1:]
state = Path(state)
(state / "filler").write_bytes(bytes(65536))
host = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
image = Image("img", path=path, format="raw", sha256=sha256 or None)
try:
    Qcow2Disk(host, state, "slipway").create_disk(DiskRequest("one", 0, DiskRole.ROOT, 1 << 30, image))
except DiskError as error:
    print(error, sorted(path.name for path in state.rglob("*") if path.is_file()))
"""


def without_room(tmp_path: Path, path: str, sha256: str = "") -> str:
    """What is said, and what is left, in a file system of 1 MiB, in a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    (tmp_path / "state").mkdir()
    command = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", tmp_path / "state", sys.executable, NO_ROOM, path, sha256],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("size", [MIB, 2 * MIB], ids=["the last write falls short", "a later write fails"])
def test_without_room_the_error_says_so(tmp_path: Path, size: int) -> None:
    (tmp_path / "large").write_bytes(os.urandom(size))
    said = without_room(tmp_path, str(tmp_path / "large"))
    assert "image img cannot be kept: [Errno 28] No space left on device" in said
    assert said.endswith("['.lock', 'filler']")


@pytest.mark.parametrize("size", [MIB, 2 * MIB], ids=["the last write falls short", "a later write fails"])
def test_without_room_a_download_leaves_nothing(tmp_path: Path, server: Server, size: int) -> None:
    server.content, server.breaks = os.urandom(size), False
    said = without_room(tmp_path, server.url, hashlib.sha256(server.content).hexdigest())
    assert "image img cannot be kept: [Errno 28] No space left on device" in said
    assert said.endswith("['.lock', 'filler']")


# --- volumes that are brought along ---------------------------------------------------------------------------------


def wanting(path: Path, form: str = "qcow2") -> DiskRequest:
    return DiskRequest("one", 1, DiskRole.DATA, 0, volume=Volume(str(path), form))


def test_a_volume_has_its_own_size_and_is_not_copied(tmp_path: Path, image: Path) -> None:
    disk = driver(tmp_path).create_disk(wanting(image))
    assert (disk.path, disk.format, disk.size) == (str(image), "qcow2", 10 * MIB)
    assert [info.size for info in driver(tmp_path).list_disks()] == [10 * MIB]
    (claim,) = (tmp_path / "state" / "disks" / HOST.name).glob("one-1.*")
    assert stat.S_IMODE(claim.stat().st_mode) == 0o600


def cut_off_volume(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-o", "preallocation=full", path, MIB)
    os.truncate(path, path.stat().st_size - (512 << 10))


@pytest.mark.parametrize(
    ("make", "form", "says"),
    [
        (lambda path: None, "raw", "No such file"),
        (lambda path: path.mkdir(), "raw", "is not a file"),
        (lambda path: os.mkfifo(path), "raw", "is not a file"),
        (lambda path: path.write_bytes(b"x" * 4096), "qcow2", "first bytes say otherwise"),
        (lambda path: qemu_img("create", "-f", "qcow2", path, MIB), "raw", "first bytes say otherwise"),
        (lambda path: qemu_img("create", "-fqcow2", "-Fraw", "-b/dev/null", path, MIB), "qcow2", "has a backing file"),
        (
            lambda path: qemu_img("create", "-fqcow2", f"-odata_file={path}.data", path, MIB),
            "qcow2",
            "has an external data file",
        ),
        (cut_off_volume, "qcow2", "is damaged or cut off"),
        (lambda path: path.write_bytes(b""), "raw", "is empty"),
    ],
    ids=["absent", "directory", "fifo", "raw", "qcow2", "backing", "data", "cut off", "empty"],
)
def test_a_volume_is_refused(make: Callable[[Path], object], form: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "volume"
    make(path)
    with pytest.raises(ImageUnacceptable, match=f"^volume {path} .*{says}"):
        driver(tmp_path).create_disk(wanting(path, form))
    assert list(driver(tmp_path).list_disks()) == []


def test_another_instances_disk_is_no_volume(tmp_path: Path, image: Path) -> None:
    other = driver(tmp_path).create_disk(replace(wanting(image), instance_id="two", volume=None, size=MIB))
    with pytest.raises(ImageUnacceptable, match="state directory of Slipway"):
        driver(tmp_path).create_disk(wanting(Path(other.path)))


def test_what_else_is_in_the_state_directory_is_no_volume(tmp_path: Path) -> None:
    database = tmp_path / "state" / "slipway.db"
    database.parent.mkdir()
    database.write_bytes(bytes(MIB))
    with pytest.raises(ImageUnacceptable, match="state directory of Slipway"):
        driver(tmp_path).create_disk(wanting(database, "raw"))
