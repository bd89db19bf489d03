"""Images by their names: fetched, converted, checked, kept once, pruned; with qemu-img and a real server."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.drivers.images.library import ImageLibrary
from slipway.drivers.images.pruning import prune
from slipway.drivers.images.shelf import StoredImage
from slipway.drivers.images.sources import Vouched
from slipway.errors import DiskError, ImageExists, ImageInUse, ImageNotFound, ImageUnacceptable
from slipway.model.machine import DiskRequest, DiskRole
from slipway.model.request import Host, Image

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed"),
]

MIB = 1 << 20
SIZE = 4 * MIB
HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)


def qemu_img(*arguments: object) -> str:
    return subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content).hexdigest()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk of 4 MiB that begins as one from which a machine boots, with something at its end."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    start, end = bytearray(b"boot".ljust(512, b"\0")), os.urandom(MIB)
    start[510:512] = b"\x55\xaa"
    path.write_bytes(bytes(start).ljust(SIZE - MIB, b"\0") + end)
    return path


def converted(disk: Path, directory: Path, form: str, *options: str) -> Path:
    path = directory / f"disk.{form}"
    qemu_img("convert", "-f", "raw", "-O", form, *options, disk, path)
    return path


def library(tmp_path: Path) -> ImageLibrary:
    return ImageLibrary(tmp_path / "state")


def left(tmp_path: Path) -> list[str]:
    """What is in the cache."""
    top = tmp_path / "state" / "images"
    return sorted(str(path.relative_to(top)) for path in top.rglob("[!.]*") if path.is_file())


def content(image: StoredImage, tmp_path: Path) -> bytes:
    path = tmp_path / "content"
    qemu_img("convert", "-f", "qcow2", "-O", "raw", tmp_path / "state" / "images" / image.sha256, path)
    return path.read_bytes()


# --- formats ------------------------------------------------------------------------------------------------------


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "xz": lambda data: lzma.compress(data[:MIB], preset=0) + lzma.compress(data[MIB:], preset=0) + bytes(8),
    "gz": lambda data: gzip.compress(data[:MIB]) + gzip.compress(data[MIB:]),
    "zst": lambda data: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout,
}


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("qcow2", ()),
        ("vmdk", ()),
        ("vmdk", ("-o", "subformat=streamOptimized")),
        ("vpc", ("-o", "force_size=on")),
        ("vpc", ("-o", "subformat=fixed,force_size=on")),
        ("vhdx", ()),
        ("vdi", ()),
        *((packed, ()) for packed in PACKED),
    ],
)
def test_an_image_of_any_format_is_the_same_qcow2_once(
    tmp_path: Path, disk: Path, form: str, options: tuple[str, ...]
) -> None:
    if form in PACKED:
        given = tmp_path / f"disk.raw.{form}"
        given.write_bytes(PACKED[form](disk.read_bytes()))
    else:
        given = converted(disk, tmp_path, form, *options)
    first = library(tmp_path).add("one", str(given))
    again = library(tmp_path).add("two", given.as_uri())
    assert (first.format, first.size, first.name, first.sha256) == ("qcow2", SIZE, "one", again.sha256)
    assert first.taken < SIZE
    assert content(first, tmp_path) == disk.read_bytes()
    assert left(tmp_path) == [first.sha256, "names/one.json", "names/two.json"]
    assert digest((tmp_path / "state" / "images" / first.sha256).read_bytes()) == first.sha256
    assert library(tmp_path).show("one").digest == f"sha256:{digest(given.read_bytes())}"


def _cut(path: Path, part: float = 0.6) -> Path:
    os.truncate(path, int(path.stat().st_size * part) // 512 * 512)
    return path


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _overlay(disk: Path, at: Path, form: str) -> Path:
    qemu_img("create", "-f", form, "-b", converted(disk, at, form), "-F", form, at / f"over.{form}")
    return at / f"over.{form}"


def _vmdk_of(disk: Path, at: Path, old: bytes, new: bytes) -> Path:
    """A VMDK whose descriptor says something else."""
    path = converted(disk, at, "vmdk")
    return _written(path, path.read_bytes().replace(old, new.ljust(len(old)), 1))


def _data_file(disk: Path, at: Path) -> Path:
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={at}/data.raw", at / "disk.qcow2", "1M")
    return at / "disk.qcow2"


def _vhd_differencing(disk: Path, at: Path) -> Path:
    path = converted(disk, at, "vpc")
    data = bytearray(path.read_bytes())
    data[-512 + 60 : -512 + 64] = (4).to_bytes(4, "big")
    return _written(path, bytes(data))


_DESCRIPTOR = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8192 FLAT "/etc/shadow" 0\n'

BAD: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "xz cut off": (lambda d, at: _cut(_written(at / "a.xz", lzma.compress(d.read_bytes(), preset=0))), "is cut off"),
    "gz cut off": (lambda d, at: _cut(_written(at / "a.gz", gzip.compress(d.read_bytes()))), "is cut off"),
    "zst cut off": (lambda d, at: _cut(_written(at / "a.zst", PACKED["zst"](d.read_bytes()))), "is cut off"),
    "xz damaged": (
        lambda d, at: _written(at / "a.xz", b"".join((lzma.compress(d.read_bytes(), preset=0)[:900], b"x" * 999))),
        "cannot be unpacked|is cut off",
    ),
    "qcow2 cut off": (lambda d, at: _cut(converted(d, at, "qcow2")), "damaged or cut off"),
    "vmdk cut off": (lambda d, at: _cut(converted(d, at, "vmdk")), "damaged or cut off"),
    "vhdx cut off": (lambda d, at: _cut(converted(d, at, "vhdx")), "cannot be read"),
    "vdi cut off": (lambda d, at: _cut(converted(d, at, "vdi")), "is cut off"),
    "vhd cut off": (lambda d, at: _cut(converted(d, at, "vpc")), "is cut off"),
    "fixed vhd cut off": (
        lambda d, at: _cut(converted(d, at, "vpc", "-o", "subformat=fixed")).rename(at / "disk.vhd"),
        "said to be vpc, and its first bytes say raw",
    ),
    "a backing file": (lambda d, at: _overlay(d, at, "qcow2"), "has a backing file"),
    "a data file": (_data_file, "has an external data file"),
    "vmdk on another": (lambda d, at: _overlay(d, at, "vmdk"), "VMDK on top of another|names other files"),
    "vmdk that is text": (lambda d, at: _written(at / "a.vmdk", _DESCRIPTOR), r"names other files \(/etc/shadow\)"),
    "vmdk with an absolute extent": (
        lambda d, at: _vmdk_of(d, at, b'"disk.vmdk"', b'"/etc/pass"'),
        r"names other files \(/etc/pass\)",
    ),
    "vmdk of a type": (
        lambda d, at: _vmdk_of(d, at, b'"monolithicSparse"', b'"monolithicFlat"'),
        "of type monolithicFlat",
    ),
    "vmdk without a capacity": (
        lambda d, at: _written(p := converted(d, at, "vmdk"), p.read_bytes()[:12] + bytes(8) + p.read_bytes()[20:]),
        "does not say how large",
    ),
    "vhd on another": (_vhd_differencing, "VHD on top of another"),
    "an archive": (lambda d, at: _written(at / "a.ova", bytes(257) + b"ustar" + bytes(999)), "is an archive"),
    "zip": (lambda d, at: _written(at / "a.zip", b"PK\3\4" + bytes(999)), "is a zip archive"),
    "a page": (lambda d, at: _written(at / "a.img", b"<!DOCTYPE html><p>not found"), "a page of HTML"),
    "nothing known": (lambda d, at: _written(at / "a.img", b"something" * 99), "say --format raw if it is"),
    "nothing": (lambda d, at: _written(at / "a.img", b""), "of no format that is known"),
    "a bomb": (lambda d, at: _written(at / "a.gz", gzip.compress(bytes(9 * MIB))), "more than 8388608 bytes unpacked"),
    "a bomb of a qcow2": (
        lambda d, at: (qemu_img("create", "-f", "qcow2", at / "a.qcow2", "1T"), at / "a.qcow2")[1],
        "is a disk of 1099511627776 bytes",
    ),
    "a bomb of a vmdk": (
        lambda d, at: (qemu_img("create", "-f", "vmdk", at / "a.vmdk", "1T"), at / "a.vmdk")[1],
        "is a disk of 1099511627776 bytes",
    ),
    "not there": (lambda d, at: at / "none.qcow2", "cannot be read: No such file"),
    "a directory": (lambda d, at: at, "is not a file"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_nobody_may_use_is_refused_and_leaves_nothing(tmp_path: Path, disk: Path, what: str) -> None:
    make, says = BAD[what]
    (place := tmp_path / "given").mkdir()
    with pytest.raises(ImageUnacceptable, match=f"^image bad.*({says})") as caught:
        library(tmp_path).add("bad", str(make(disk, place)), most=8 * MIB)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []
    with pytest.raises(ImageNotFound):
        library(tmp_path).show("bad")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "ä", "x" * 64])
def test_what_is_no_name(tmp_path: Path, disk: Path, name: str) -> None:
    with pytest.raises(ImageUnacceptable, match="cannot be called"):
        library(tmp_path).add(name, str(disk))


def test_a_name_is_taken_once(tmp_path: Path, disk: Path) -> None:
    images = library(tmp_path)
    first = images.add("one", str(disk))
    other = _written(tmp_path / "other", b"other".ljust(MIB, b"\0"))
    with pytest.raises(ImageExists):
        images.add("one", str(other), form="raw")
    second = images.add("one", str(other), form="raw", replace=True)
    assert (images.show("one").sha256, second.size) == (second.sha256, MIB)
    assert [(one.name, one.sha256) for one in images.list(unnamed=True)] == [
        ("one", second.sha256),
        (None, first.sha256),
    ]
    assert images.delete("one").sha256 == second.sha256
    assert left(tmp_path) == [first.sha256]


# --- over a network -----------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves files on loopback, with ETags; each answer to what is in `breaks` breaks off in the middle, once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.breaks: set[str] = set()
        self.sends_on: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append((self.path, asked))
        if (to := self.server.sends_on.get(self.path)) is not None:
            self.send_response(302)
            self.send_header("Location", to)
            self.end_headers()
            return
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        etag = f'"{digest(data)[:8]}"'
        start = 0
        if asked and self.headers["If-Range"] in (None, etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        breaks = self.path in self.server.breaks
        self.server.breaks.discard(self.path)
        self.wfile.write(data[start : start + (len(data) - start) // 2] if breaks else data[start:])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server passes
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_download_is_gone_on_with_unless_it_is_another_version(tmp_path: Path, disk: Path, server: Server) -> None:
    data, images = disk.read_bytes(), library(tmp_path)
    server.files["/a.raw"], server.breaks = data, {"/a.raw"}

    def add() -> StoredImage:
        return images.add("a", server.url("/a.raw"), vouched=Vouched(digest(data, "sha512")))

    with pytest.raises(DiskError, match="broke off and can be gone on with"):
        add()
    assert images.list() == ()
    assert add().size == SIZE
    (first, second) = [asked for _, asked in server.asked]
    assert (first, (second or "")[:6]) == (None, "bytes=")
    images.delete("a")
    assert left(tmp_path) == []

    # Another version meanwhile: of the old one nothing is in it.
    server.files["/a.raw"], server.breaks = os.urandom(SIZE), {"/a.raw"}
    with pytest.raises(DiskError):
        add()
    server.files["/a.raw"] = data
    assert content(add(), tmp_path) == data
    assert left(tmp_path) == [images.show("a").sha256, "names/a.json"]


def test_a_beginning_belongs_to_one_file_alone(tmp_path: Path, disk: Path, server: Server) -> None:
    data, images = disk.read_bytes(), library(tmp_path)
    server.files = {"/a.raw": os.urandom(SIZE), "/b.raw": data}
    server.breaks = {"/a.raw"}
    with pytest.raises(DiskError):
        images.add("a", server.url("/a.raw"), vouched=Vouched("0" * 64))
    assert content(images.add("a", server.url("/b.raw"), vouched=Vouched(digest(data))), tmp_path) == data
    assert server.asked[-1] == ("/b.raw", None)


def test_what_is_fetched_is_vouched_for(tmp_path: Path, disk: Path, server: Server) -> None:
    images = library(tmp_path)
    server.files["/a.raw"] = disk.read_bytes()
    url = server.url("/a.raw")
    with pytest.raises(ImageUnacceptable, match="give its checksum"):
        images.add("a", url)
    with pytest.raises(ImageUnacceptable, match=r"the sha256 of http.* is .*, not 0000"):
        images.add("a", url, vouched=Vouched("0" * 64))
    with pytest.raises(ImageUnacceptable, match="MD5, which anybody can forge"):
        images.add("a", url, vouched=Vouched("0" * 32))
    server.sends_on = {"/to-file": "file:///etc/shadow", "/to-ftp": "ftp://127.0.0.1/a", "/to-a": "/a.raw"}
    for path in ("/to-file", "/to-ftp"):
        with pytest.raises(ImageUnacceptable, match=r"sends us on to a URL of f(ile|tp):, which is not followed"):
            images.add("a", server.url(path), vouched=Vouched("0" * 64))
    for source in ("ftp://example.org/a", "file://elsewhere/etc/shadow", "javascript://a"):
        with pytest.raises(ImageUnacceptable, match="neither a path nor a URL"):
            images.add("a", source, vouched=Vouched("0" * 64))
    with pytest.raises(ImageUnacceptable, match="404"):
        images.add("a", server.url("/none"), vouched=Vouched("0" * 64))
    assert left(tmp_path) == []
    assert images.add("a", server.url("/to-a"), vouched=Vouched(digest(disk.read_bytes()))).size == SIZE


SUMS: dict[str, tuple[str, str | None]] = {
    "GNU": ("{sha256}  a.raw\n{wrong}  b.raw\n", None),
    "GNU, binary, in a directory": ("{wrong} *b.raw\n{sha256} *./images/a.raw\n", None),
    "BSD": ("# a.raw: 4 bytes\nSHA256 (a.raw) = {sha256}\nSHA256 (b.raw) = {wrong}\n", None),
    "the stronger one": ("{md5}  a.raw\nSHA256 (a.raw) = {wrong}\nSHA512 (a.raw) = {sha512}\n", None),
    "alone": ("{sha512}\n", None),
    "in capitals, with \\r": ("{SHA256}  a.raw\r\n", None),
    "none": ("{sha256}  b.raw\n", "has no checksum of a.raw"),
    "empty": ("\n", "has no checksum of a.raw"),
    "another one that ends alike": ("{sha256}  not-a.raw\n", "has no checksum of a.raw"),
    "weak": ("{md5}  a.raw\n", "no checksum of a.raw but MD5, which is not enough"),
    "two": ("{sha256}  a.raw\n{wrong}  a.raw\n", "two different checksums of a.raw"),
}


@pytest.mark.parametrize("form", SUMS)
def test_checksum_files(tmp_path: Path, disk: Path, form: str) -> None:
    text, says = SUMS[form]
    given, sums = tmp_path / "a.raw", tmp_path / "SHA256SUMS"
    shutil.copy(disk, given)
    data = disk.read_bytes()
    known = {name: digest(data, name) for name in ("md5", "sha256", "sha512")}
    sums.write_text(text.format(**known, SHA256=known["sha256"].upper(), wrong="0" * 64), newline="")
    if says is None:
        assert library(tmp_path).add("a", str(given), vouched=Vouched(checksums=str(sums))).size == SIZE
    else:
        with pytest.raises(ImageUnacceptable, match=says):
            library(tmp_path).add("a", str(given), vouched=Vouched(checksums=str(sums)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., bytes]]:
    """Runs gpg, with two keys; files in its home."""
    if shutil.which("gpg") is None or shutil.which("gpgv") is None:
        pytest.skip("gpg is not installed")
    # The socket of gpg's agent must have a short name.
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())

    def gpg(*arguments: object, input: bytes = b"") -> bytes:  # noqa: A002 - as subprocess has it
        command = ["gpg", "--homedir", home, "--batch", "--yes", "--passphrase", "", *arguments]
        return subprocess.run(list(map(str, command)), input=input, capture_output=True, check=True).stdout

    for name in ("good", "bad"):
        gpg("--quick-generate-key", f"{name}@example.org", "ed25519", "sign", "never")
    yield gpg
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    shutil.rmtree(home)


def test_signatures(tmp_path: Path, disk: Path, keys: Callable[..., bytes]) -> None:
    images, data = library(tmp_path), disk.read_bytes()
    sums = f"{digest(data)}  {disk.name}\n".encode()
    ring, armoured = tmp_path / "ring.gpg", tmp_path / "ring.asc"
    ring.write_bytes(keys("--export", "good@example.org"))
    armoured.write_bytes(keys("--armor", "--export", "good@example.org"))

    def add(name: str, content: bytes, signature: bytes | None, keyring: Path) -> StoredImage:
        (checksums := tmp_path / "SUMS").write_bytes(content)
        (detached := tmp_path / "SUMS.gpg").write_bytes(signature or b"")
        vouched = Vouched(None, str(checksums), str(detached) if signature else None, str(keyring))
        return images.add(name, str(disk), vouched=vouched)

    def sign(who: str, how: str, text: bytes) -> bytes:
        return keys("--local-user", f"{who}@example.org", how, "-o", "-", input=text)

    detached, around = sign("good", "--detach-sign", sums), sign("good", "--clearsign", sums)
    assert add("one", sums, detached, ring).signed
    assert add("two", around, None, armoured).signed
    for name, (content_, signature) in {
        "by somebody else": (sums, sign("bad", "--detach-sign", sums)),
        "of something else": (sums + b"\n", detached),
        "by somebody else, around": (sign("bad", "--clearsign", sums), None),
        "changed within": (around.replace(sums[:8], b"00000000"), None),
        "no signature": (sums, b"nonsense"),
        "none at all": (sums, None),
    }.items():
        with pytest.raises(ImageUnacceptable, match=r"is not good|bears no signature"):
            add(name.replace(" ", "-").replace(",", ""), content_, signature, ring)
    assert [one.name for one in images.list()] == ["one", "two"]


# --- the catalogue ------------------------------------------------------------------------------------------------

_CATALOGUE = """
images:
  tiny-1:
    aliases: [tiny]
    url: https://images.example.org/tiny/latest/disk.raw.xz
    checksums: https://images.example.org/tiny/latest/SHA512SUMS
"""


def publish(server: Server, data: bytes) -> bytes:
    packed = lzma.compress(data, preset=0)
    place = "/mirror/images.example.org/tiny/latest"
    server.files[f"{place}/disk.raw.xz"] = packed
    server.files[f"{place}/SHA512SUMS"] = f"{digest(packed, 'sha512')}  disk.raw.xz\n".encode()
    return packed


def catalogue(tmp_path: Path, mirror: str = "") -> ImageLibrary:
    (place := tmp_path / "state" / "images").mkdir(parents=True, exist_ok=True)
    (place / "catalogue.yaml").write_text(_CATALOGUE + (f"mirror: {mirror}\n" if mirror else ""))
    return library(tmp_path)


def test_a_pull_is_by_name_from_a_mirror_and_only_what_is_new(tmp_path: Path, disk: Path, server: Server) -> None:
    images = catalogue(tmp_path)
    publish(server, disk.read_bytes())
    found = images.pull("tiny", mirror=server.url("/mirror/"))
    assert (found.changed, found.image.name, found.image.published) == (True, "tiny-1", True)
    assert content(images.show("tiny"), tmp_path) == disk.read_bytes()
    asked = len(server.asked)
    assert not images.pull("tiny-1", mirror=server.url("/mirror")).changed
    assert [path.rpartition("/")[2] for path, _ in server.asked[asked:]] == ["SHA512SUMS"]
    publish(server, disk.read_bytes()[:MIB])
    newer = images.pull("tiny", mirror=server.url("/mirror"))
    assert (newer.changed, newer.image.size, len(images.list(unnamed=True))) == (True, MIB, 2)
    with pytest.raises(ImageNotFound, match='did you mean "tiny"'):
        images.pull("tinny")


def test_a_mirror_may_be_a_directory_and_stand_in_the_catalogue(tmp_path: Path, disk: Path, server: Server) -> None:
    publish(server, disk.read_bytes())
    for path, data in server.files.items():
        (file := tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    images = catalogue(tmp_path, (tmp_path / "mirror").as_uri())
    assert images.pull("tiny").image.size == SIZE
    assert server.asked == []
    (tmp_path / "state" / "images" / "catalogue.yaml").write_text("images:\n  a: {url: x, sums: y}\n")
    from slipway.errors import InvalidFile

    with pytest.raises(InvalidFile, match=r"catalogue.yaml: Object contains unknown field `sums`"):
        images.pull("tiny")


def test_what_was_added_is_not_pulled_over(tmp_path: Path, disk: Path, server: Server) -> None:
    images = catalogue(tmp_path, server.url("/mirror"))
    publish(server, disk.read_bytes())
    mine = images.add("tiny-1", str(_written(tmp_path / "mine", b"m".ljust(MIB, b"\0"))), form="raw")
    with pytest.raises(ImageExists, match="not the catalogue's"):
        images.pull("tiny")
    assert images.show("tiny").sha256 == mine.sha256


def root(name: str, path: str, **more: Any) -> DiskRequest:
    return DiskRequest(name, 0, DiskRole.ROOT, 2 * SIZE, Image("img", path=path, **more))


def test_a_disk_starts_from_an_image_by_its_name_which_is_pulled_for_it(
    tmp_path: Path, disk: Path, server: Server
) -> None:
    images = catalogue(tmp_path, server.url("/mirror"))
    publish(server, disk.read_bytes())
    disks = Qcow2Disk(HOST, tmp_path / "state", "slipway")
    made = disks.create_disk(root("one", "image:tiny"))
    below = json.loads(qemu_img("info", "--output=json", made.path))["full-backing-filename"]
    assert Path(below).name == images.show("tiny-1").sha256
    assert [one.instance_id for one in images.show("tiny").disks] == ["one"]
    asked = len(server.asked)
    disks.create_disk(root("two", "image:tiny-1"))
    assert len(server.asked) == asked, "what is here is not asked for again"
    with pytest.raises(ImageUnacceptable, match="not 0000"):
        disks.create_disk(root("three", "image:tiny", sha256="0" * 64))
    with pytest.raises(ImageNotFound):
        disks.create_disk(root("three", "image:none"))


# --- pruning ------------------------------------------------------------------------------------------------------


def test_nothing_goes_on_which_a_disk_stands(tmp_path: Path, disk: Path, server: Server) -> None:
    """Of whichever host and stack, of a guest that is stopped, set aside or kept in a snapshot."""
    images, disks = library(tmp_path), Qcow2Disk(HOST, tmp_path / "state", "slipway")
    others = Qcow2Disk(replace(HOST, name="node-2"), tmp_path / "state", "slipway")
    for number, name in enumerate(("used", "kept", "free")):
        images.add(name, str(_written(tmp_path / name, bytes([number + 1]) * MIB)), form="raw")
    images.add("also-used", str(tmp_path / "used"), form="raw")
    disks.create_disk(root("one", "image:used"))
    others.create_disk(root("two", "image:kept"))
    others.create_snapshot("two", 0, "monday")
    others.delete_disk("two", 0)
    images.delete("also-used")
    for name, on in (("used", "one on node-1"), ("kept", "two on node-2")):
        with pytest.raises(ImageInUse, match=on):
            images.delete(name)
    now = datetime.now(UTC) + timedelta(days=99)
    state = tmp_path / "state"
    assert prune(state, now=now, unused_for=timedelta(0), most=0) == (), "what was added by hand stays"
    would = prune(state, now=now, unused_for=timedelta(0), added=True, dry_run=True)
    assert [one.name for one in would] == ["free"]
    assert prune(state, now=now, unused_for=timedelta(0), most=0, added=True) == would
    assert [one.name for one in images.list()] == ["kept", "used"]
    others.delete_snapshot("two", 0, "monday")
    assert [one.name for one in prune(state, now=now, most=0, added=True)] == ["kept"]
    assert json.loads(qemu_img("check", "--output=json", next((state / "disks").rglob("*.qcow2"))))["check-errors"] == 0


def test_the_longest_unused_go_first_and_by_age(tmp_path: Path, server: Server) -> None:
    """Those without a name, and those of the catalogue, which can be fetched once more."""
    disks, state, now = Qcow2Disk(HOST, tmp_path / "state", "slipway"), tmp_path / "state", datetime.now(UTC)
    sizes = {}
    for age in (3, 2, 1):
        path = _written(tmp_path / f"{age}.raw", os.urandom(MIB))
        disks.create_disk(root(str(age), str(path), format="raw"))
        disks.delete_disk(str(age), 0)
        used = (now - timedelta(days=age)).timestamp()
        sizes[age] = state / "images" / digest(path.read_bytes())
        os.utime(sizes[age], (used, used))
    old = state / "images" / "name-a-0123.tmp"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    (state / "images" / "name-b-0123.tmp").write_bytes(b"x")
    assert [one.used_at.date() for one in prune(state, now=now, most=2 * MIB + 4096 * 4)] == [
        (now - timedelta(days=3)).date()
    ]
    assert (sizes[3].exists(), sizes[2].exists()) == (False, True)
    assert len(prune(state, now=now, unused_for=timedelta(days=1.5))) == 1
    assert (sizes[2].exists(), sizes[1].exists()) == (False, True)
    assert [path.name for path in (state / "images").glob("*.tmp")] == ["name-b-0123.tmp"]


def test_an_image_in_hand_is_not_pruned(tmp_path: Path, disk: Path) -> None:
    """Between the look at the image and the disk on it nothing takes it away; and one that was is fetched again."""
    state, disks = tmp_path / "state", Qcow2Disk(HOST, tmp_path / "state", "slipway")
    stop, errors = threading.Event(), list[BaseException]()

    def keep_pruning() -> None:
        while not stop.is_set():
            try:
                prune(state, now=datetime.now(UTC) + timedelta(seconds=1), unused_for=timedelta(0))
            except BaseException as error:  # noqa: BLE001 - it is looked at below
                errors.append(error)

    thread = threading.Thread(target=keep_pruning)
    thread.start()
    try:
        for number in range(12):
            made = disks.create_disk(root(str(number), str(disk), format="raw"))
            qemu_img("check", made.path)
            disks.delete_disk(str(number), 0)
    finally:
        stop.set()
        thread.join()
    assert errors == []


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_unused(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, disks = tmp_path / "state", Qcow2Disk(HOST, tmp_path / "state", "slipway")
    disks.create_disk(root("one", str(disk), format="raw"))

    def no(_path: str) -> str:
        raise PermissionError(13, "Permission denied", _path)

    monkeypatch.setattr("slipway.drivers.images.users.backing_file", no)
    with pytest.raises(DiskError, match="cannot be looked through"):
        prune(state, now=datetime.now(UTC), unused_for=timedelta(0))
    monkeypatch.undo()
    assert [len(one.disks) for one in ImageLibrary(state).list(unnamed=True)] == [1]
