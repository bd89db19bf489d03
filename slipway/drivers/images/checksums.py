"""Checksum files as publishers write them: SHA256SUMS, SHA512SUMS, CHECKSUM, in GNU's format or in BSD's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from slipway.errors import ImageUnacceptable

LARGEST_FILE = 4 << 20
"""Bytes of a checksum file, or of a signature."""

_LENGTHS = {64: "sha256", 96: "sha384", 128: "sha512"}
_WEAK = {32: "MD5", 40: "SHA-1"}
_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{32,128}) [ *](.+)")
_BSD = re.compile(r"([A-Za-z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
_BARE = re.compile(r"[0-9A-Fa-f]{32,128}")
_ESCAPES = re.compile(r"\\(.)")


class Digest(Struct, frozen=True):
    """What a file is known by: `algorithm` as hashlib has it, `text` in hexadecimal digits, lower case."""

    algorithm: str
    text: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.text}"


def begun(wanted: Digest | None) -> Any:
    """An object of hashlib's, by which a file's digest is told from the wanted one; a SHA-256 where none is."""
    return hashlib.new(wanted.algorithm if wanted else "sha256")


def digest_of(text: str) -> Digest:
    """The digest that these hexadecimal digits are. Raises `ImageUnacceptable` for none, and for MD5 and SHA-1."""
    if not _BARE.fullmatch(text) or len(text) not in _LENGTHS:
        kind = _WEAK.get(len(text)) if _BARE.fullmatch(text) else None
        why = f"is {kind}, which anybody can forge" if kind else "is no digest"
        raise ImageUnacceptable(f"{text!r} {why}: a SHA-256 in 64 hexadecimal digits is needed, or a SHA-512 in 128")
    return Digest(_LENGTHS[len(text)], text.lower())


def find(text: str, name: str, *, where: str, alone: bool = False) -> Digest:
    """The strongest digest that a checksum file has for the file of that name. `where` is the file's name in errors.

    `alone`: the file is beside this one image, so that its only line counts whatever name stands in it. Raises
    `ImageUnacceptable` where there is none, where only weak ones are, and where two contradict each other.
    """
    lines = list(_lines(text))
    found = {digits.lower() for digits, named in lines if named is not None and named.rpartition("/")[2] == name}
    if not found and (alone or all(named is None for _, named in lines)):
        found = {digits.lower() for digits, _ in lines}
    if not found:
        raise ImageUnacceptable(f"{where} has no checksum of {name}")
    strong = sorted((one for one in found if len(one) in _LENGTHS), key=len)
    if not strong:
        kinds = " and ".join(sorted({_WEAK.get(len(one), "an unknown kind") for one in found}))
        raise ImageUnacceptable(f"{where} has no checksum of {name} but {kinds}, which is not enough")
    if len(strong) > 1 and len(strong[-1]) == len(strong[-2]):
        raise ImageUnacceptable(f"{where} has two different checksums of {name}")
    return digest_of(strong[-1])


def _lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Digits and name of each line that is a checksum: others are comments, or a signature's."""
    for line in map(str.strip, text.splitlines()):
        if gnu := _GNU.fullmatch(line):
            name = _ESCAPES.sub(lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), gnu[3])
            yield gnu[2], name if gnu[1] else gnu[3]
        elif bsd := _BSD.fullmatch(line):
            yield bsd[3], bsd[2]
        elif _BARE.fullmatch(line):
            yield line, None
