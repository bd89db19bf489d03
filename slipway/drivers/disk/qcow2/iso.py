"""A few files as an ISO 9660 image with Joliet's names, which every system can mount; nothing in it is compressed.

0   16 blocks that nobody reads     19  four path tables of the root: 9660's twice, Joliet's twice
16  volume descriptor of 9660       23  root directory of 9660
17  volume descriptor of Joliet     24  root directory of Joliet
18  end of the descriptors          25  the files
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

_BLOCK = 2048
_DESCRIPTORS, _TABLES, _ROOTS, _FILES = 16, 19, 23, 25
_DATE = bytes((80, 1, 1, 0, 0, 0, 0))
"""1980-01-01: the same files are the same image."""
_NO_DATE = b"0" * 16 + b"\0"
_DIRECTORY = 2


class _Extent(NamedTuple):
    """Where something is: its first block and its length in bytes."""

    block: int
    length: int


class _Names(NamedTuple):
    """One of the two ways to name the same files. `tag`: its descriptor's type, and the sign of Joliet's UTF-16."""

    tag: int
    escape: bytes
    encoding: str

    def of(self, name: str) -> bytes:
        """A file's name as it is in the directory; a system that knows no Joliet makes small letters of 9660's."""
        return (name if self.escape else f"{name.upper()}.;1").encode(self.encoding)

    def text(self, text: str, length: int) -> bytes:
        """A text of the descriptor, filled with blanks."""
        blank = " ".encode(self.encoding)
        return (text.encode(self.encoding) + blank * length)[:length]


_BOTH = (_Names(1, b"", "ascii"), _Names(2, b"%/E", "utf-16-be"))


def iso_image(label: str, files: Mapping[str, bytes]) -> bytes:
    """The image. `files`: a dozen or so, by names of letters, digits and hyphens; `label`: 16 characters at most.

    Raises `ValueError` for more files than a block of a directory has room for.
    """
    where, block = {}, _FILES
    for name, content in files.items():
        where[name] = _Extent(block, len(content))
        block += -(-len(content) // _BLOCK)
    roots = [_Extent(_ROOTS + index, _BLOCK) for index in range(len(_BOTH))]
    blocks = [bytes(_BLOCK)] * _DESCRIPTORS
    blocks += [_descriptor(names, label, block, _TABLES + 2 * index, roots[index]) for index, names in enumerate(_BOTH)]
    blocks.append(b"\xffCD001\x01")
    for root in roots:
        blocks += [_table("<", root), _table(">", root)]
    for names, root in zip(_BOTH, roots, strict=True):
        blocks.append(_directory(names, root, where))
    return b"".join(map(_whole, [*blocks, *files.values()]))


def _whole(content: bytes) -> bytes:
    return content + bytes(-len(content) % _BLOCK)


def _twice(kind: str, number: int) -> bytes:
    """As 9660 has numbers: in both orders of bytes."""
    return struct.pack(f"<{kind}", number) + struct.pack(f">{kind}", number)


def _table(order: str, root: _Extent) -> bytes:
    return struct.pack(f"{order}BBIHxx", 1, 0, root.block, 1)


def _record(name: bytes, at: _Extent, flags: int = 0) -> bytes:
    entry = b"\0" + _twice("I", at.block) + _twice("I", at.length) + _DATE + bytes((flags, 0, 0)) + _twice("H", 1)
    entry += bytes((len(name),)) + name
    entry += bytes((len(entry) + 1) % 2)
    return bytes((len(entry) + 1,)) + entry


def _directory(names: _Names, root: _Extent, files: Mapping[str, _Extent]) -> bytes:
    named = sorted((names.of(name), at) for name, at in files.items())
    entries = [_record(b"\0", root, _DIRECTORY), _record(b"\1", root, _DIRECTORY)]
    directory = b"".join([*entries, *(_record(name, at) for name, at in named)])
    if len(directory) > root.length:
        raise ValueError(f"too many files for one block of a directory: {', '.join(files)}")
    return directory


def _descriptor(names: _Names, label: str, blocks: int, tables: int, root: _Extent) -> bytes:
    return b"".join(
        (
            struct.pack("B5sBx", names.tag, b"CD001", 1),
            names.text("", 32),
            names.text(label, 32),
            bytes(8),
            _twice("I", blocks),
            names.escape.ljust(32, b"\0"),
            *(_twice("H", number) for number in (1, 1, _BLOCK)),
            _twice("I", struct.calcsize("<BBIHxx")),
            struct.pack("<II", tables, 0),
            struct.pack(">II", tables + 1, 0),
            _record(b"\0", root, _DIRECTORY),
            names.text("", 4 * 128 + 3 * 37),
            4 * _NO_DATE,
            b"\1",
        )
    )
