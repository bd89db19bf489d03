"""The first bytes of a qcow2 file, read without `qemu-img`: what it must not be let near is known before it runs."""

from __future__ import annotations

import os
import struct

from msgspec import Struct

_HEADER = struct.Struct(">4sIQIIQI")
"""Magic, version, place and length of the backing file's name, bits of a cluster, size, method of encryption."""

_MAGIC = b"QFI\xfb"
_INCOMPATIBLE = struct.Struct(">Q")
_INCOMPATIBLE_AT = 72
_CORRUPT, _DATA_FILE = 1 << 1, 1 << 2


class Header(Struct, frozen=True):
    """Of a qcow2 image; `size` is what a guest sees, in bytes."""

    size: int
    has_backing_file: bool
    has_data_file: bool
    encrypted: bool
    corrupt: bool


def backing_file(path: str) -> str | None:
    """The file that a qcow2 image is an overlay on, by the name that it has for it. Raises `OSError`."""
    with open(path, "rb") as file:
        magic, _, at, length, _, _, _ = _HEADER.unpack(file.read(_HEADER.size).ljust(_HEADER.size, b"\0"))
        if magic != _MAGIC or not at:
            return None
        file.seek(at)
        return os.fsdecode(file.read(length))


def read_header(path: str) -> Header | None:
    """None where the file is no qcow2 image. Raises `OSError`."""
    with open(path, "rb") as file:
        start = file.read(_INCOMPATIBLE_AT + _INCOMPATIBLE.size).ljust(_INCOMPATIBLE_AT + _INCOMPATIBLE.size, b"\0")
    magic, version, backing_at, _, _, size, encryption = _HEADER.unpack_from(start)
    if magic != _MAGIC:
        return None
    features = _INCOMPATIBLE.unpack_from(start, _INCOMPATIBLE_AT)[0] if version >= 3 else 0
    return Header(
        size=size,
        has_backing_file=backing_at != 0,
        has_data_file=bool(features & _DATA_FILE),
        encrypted=encryption != 0,
        corrupt=bool(features & _CORRUPT),
    )
