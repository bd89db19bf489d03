"""Where images come from: files and URLs, what vouches for them, and the disks of guests."""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from slipway.drivers.deadline import left
from slipway.drivers.images import qemu_img, signatures
from slipway.drivers.images.checksums import LARGEST_FILE, Digest, begun, digest_of, find
from slipway.drivers.images.copying import copy, opened
from slipway.drivers.images.download import download, fetch_small
from slipway.drivers.images.header import read_header
from slipway.drivers.images.integrity import check_all
from slipway.drivers.images.room import check_room
from slipway.errors import DiskError, ImageUnacceptable

_CHUNK = 1 << 20


class Vouched(Struct, frozen=True):
    """What says which file is the right one: its `digest`, or a file of `checksums` that is signed or not.

    `checksums` and `signature` are paths or URLs, `keyring` a file with the keys that may have signed. `of`: the
    image's own URL, where it comes from a mirror.
    """

    digest: str | None = None
    checksums: str | None = None
    signature: str | None = None
    keyring: str | None = None
    of: str | None = None


def is_remote(source: str) -> bool:
    """Whether it comes over a network."""
    return _local(source) is None


def usable(keyring: str | None) -> str | None:
    """The keyring of a publisher, where it is here and signatures can be looked at."""
    return keyring if keyring is not None and os.path.exists(keyring) and signatures.can_check() else None


def vouched_digest(name: str, source: str, vouched: Vouched | None) -> tuple[Digest | None, bool]:
    """The digest that the image must have, and whether a signature has said so; None where nothing vouches for it.

    Raises `ImageUnacceptable`, `DiskError`.
    """
    if vouched is None or (vouched.digest is None and vouched.checksums is None):
        return None, False
    if vouched.digest is not None:
        return digest_of(vouched.digest), False
    assert vouched.checksums is not None
    what = f"image {name}"
    content, signed = _small(what, vouched.checksums), False
    if vouched.keyring is not None:
        signature = _small(what, vouched.signature) if vouched.signature else None
        content = signatures.verified(content, signature, vouched.keyring, where=vouched.checksums)
        signed = True
    file = _file_of(vouched.of or source)
    alone = _file_of(vouched.checksums).startswith(file)
    return find(content.decode(errors="replace"), file, where=vouched.checksums, alone=alone), signed


def fetched(name: str, source: str, work: str, wanted: Digest | None, most: int) -> Digest:
    """Have the image's file as it is in the file `work`; its digest, a SHA-256 where none is wanted.

    Raises `ImageUnacceptable` for what is not there or not the right one, `DiskError`, `StepTimeout`, `OSError`.
    """
    file = _local(source)
    if file is None:
        return download(f"image {name}", source, work, wanted, most)
    try:
        found = _copied(name, file, work, wanted)
        if wanted is not None and found != wanted:
            raise ImageUnacceptable(
                f"image {name}: the {found.algorithm} of {source} is {found.text}, not {wanted.text}"
            )
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(work)
        raise
    return found


def flattened(name: str, disk: str, work: str) -> None:
    """Have what a guest sees of a disk, which is a file of ours, in the file `work`. Raises `DiskError`."""
    header = read_header(disk) if os.path.isfile(disk) else None
    if header is None:
        raise DiskError(f"image {name}: {disk} is no qcow2 file of this machine")
    check_room(os.path.dirname(work), os.stat(disk).st_blocks * 512)
    os.close(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    qemu_img.convert(disk, "qcow2", work)
    check_all(f"image {name}", "qcow2", work)


def hashed(path: str) -> str:
    """The SHA-256 of a file. Raises `StepTimeout` in time."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            left(math.inf)
            digest.update(chunk)
    return digest.hexdigest()


def size_of(path: str) -> int:
    """What a guest sees of a qcow2 image, in bytes."""
    header = read_header(path)
    assert header is not None
    return header.size


def _copied(name: str, file: str, work: str, wanted: Digest | None) -> Digest:
    """Copy the file, so that nobody changes it any more while it is looked at."""
    digest = begun(wanted)
    with opened(name, file) as source:
        check_room(os.path.dirname(work), os.fstat(source).st_blocks * 512)
        copy(source, work, digest)
    return Digest(digest.name, str(digest.hexdigest()))


def _small(what: str, source: str) -> bytes:
    """All of a small file. Raises `ImageUnacceptable`, `DiskError`."""
    file = _local(source)
    if file is None:
        return fetch_small(what, source, LARGEST_FILE)
    try:
        with open(file, "rb") as small:
            content = small.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ImageUnacceptable(f"{what}: {file} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise ImageUnacceptable(f"{what}: {file} has more than the {LARGEST_FILE} bytes that it may have")
    return content


def _local(source: str) -> str | None:
    """The file of this machine that a path or a URL names; None for what comes by http: or https:.

    Raises `ImageUnacceptable` for any other URL.
    """
    if "://" not in source:
        return source
    url = urlsplit(source)
    if url.scheme == "file" and url.netloc in ("", "localhost"):
        return unquote(url.path)
    if url.scheme not in ("http", "https"):
        raise ImageUnacceptable(f"{source} is neither a path nor a URL of file:, http: or https:")
    return None


def _file_of(source: str) -> str:
    path = urlsplit(source).path if "://" in source else source
    return unquote(path).rpartition("/")[2]
