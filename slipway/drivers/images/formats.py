"""Of which format a file is, told by its bytes, and which of them name other files: known before `qemu-img` runs."""

from __future__ import annotations

import os
import re
import struct

from slipway.drivers.images.header import read_header
from slipway.errors import ImageUnacceptable

FORMATS = ("qcow2", "raw", "vmdk", "vpc", "vhdx", "vdi")
"""As `qemu-img` calls them; `vpc` is VHD."""

_NAMES = {"vhd": "vpc", "img": "raw"}
_SECTOR = 512
_DESCRIPTOR = 1 << 16
_VMDK_KINDS = ("monolithicsparse", "streamoptimized")
_FOREIGN = {
    b"QED\0": "a QED image",
    b"WithoutFreeSpace": "a Parallels image",
    b"WithouFreSpacExt": "a Parallels image",
    b"LUKS\xba\xbe": "encrypted (LUKS)",
    b"COWD": "a VMDK of ESX, which is part of several files",
    b"PK\3\4": "a zip archive: unpack it, and add the disk in it",
    b"BZh": "compressed by bzip2: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it, and add the disk in it",
    b"<!DOCTYPE": "a page of HTML, not an image",
    b"<html": "a page of HTML, not an image",
}


def format_named(text: str) -> str:
    """`qemu-img`'s name of a format that was said. Raises `ImageUnacceptable` for any other."""
    name = text.lower()
    name = _NAMES.get(name, name)
    if name not in FORMATS:
        raise ImageUnacceptable(f"{text!r} is no format that is known: qcow2, raw, vmdk, vhd, vhdx or vdi")
    return name


def format_of(what: str, path: str, said: str | None) -> str:
    """The file's format; raw only where it was said, or begins as a disk from which a machine boots does.

    `what` is its name in errors. Raises `ImageUnacceptable` for one that is none of `FORMATS`, not the one that was
    said, or could have a guest read another file of the host. Raises `OSError`.
    """
    with open(path, "rb") as file:
        start = file.read(4096)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _SECTOR))
        end = file.read(_SECTOR)
    for magic, name in _FOREIGN.items():
        if start.startswith(magic):
            raise ImageUnacceptable(f"{what} is {name}")
    if start[257:262] == b"ustar":
        raise ImageUnacceptable(f"{what} is an archive (tar, OVA): unpack it, and add the disk in it")
    found = _found(path, start, end)
    if found is None and (said == "raw" or start[510:512] == b"\x55\xaa" or start[512:520] == b"EFI PART"):
        found = "raw"
    if found is None:
        raise ImageUnacceptable(f"{what} is of no format that is known; say --format raw if it is a disk as it is")
    if said is not None and said != found:
        raise ImageUnacceptable(f"{what} is said to be {said}, and its first bytes say {found}")
    if found == "vmdk":
        _check_vmdk(what, path, start)
    elif found == "vpc":
        _check_vhd(what, end)
    elif found == "vdi":
        _check_vdi(what, path, start)
    return found


def format_by_name(name: str) -> str | None:
    """What the end of a file's name says of its format, where that is worth anything: .img may be all of them."""
    suffix = name.lower().rpartition(".")[2]
    return _NAMES.get(suffix, suffix) if suffix in ("qcow2", "vmdk", "vhd", "vhdx", "vdi") else None


def _found(path: str, start: bytes, end: bytes) -> str | None:
    if read_header(path) is not None:
        return "qcow2"
    if start.startswith(b"KDMV") or start.lstrip()[:21].lower() == b"# disk descriptorfile":
        return "vmdk"
    if start.startswith(b"vhdxfile"):
        return "vhdx"
    if start[0x40:0x44] == struct.pack("<I", 0xBEDA107F):
        return "vdi"
    return "vpc" if start.startswith(b"conectix") or end.startswith(b"conectix") else None


def _check_vmdk(what: str, path: str, start: bytes) -> None:
    """Refused is one that is more than this one file: by its descriptor it could be any file of the host."""
    if not start.startswith(b"KDMV"):
        extents = _extents(start.decode("latin-1"))
        named = f" ({', '.join(extents[:3])})" if extents else ""
        raise ImageUnacceptable(f"{what} is a VMDK that names other files{named}: make one file of it first")
    capacity, _, at, sectors = struct.unpack_from("<QQQQ", start, 12)
    with open(path, "rb") as file:
        file.seek(at * _SECTOR)
        text = file.read(min(sectors * _SECTOR, _DESCRIPTOR)).partition(b"\0")[0].decode("latin-1")
    # With a capacity of 0 QEMU goes by the descriptor, and opens whatever that names.
    if capacity == 0 or at == 0:
        raise ImageUnacceptable(f"{what} is a VMDK whose header does not say how large it is")
    kind = re.search(r'(?im)^\s*createType\s*=\s*"([^"]*)"', text)
    if kind is None or kind[1].lower() not in _VMDK_KINDS:
        has = f"of type {kind[1]}" if kind else "without a type"
        raise ImageUnacceptable(f"{what} is a VMDK {has}: only monolithicSparse and streamOptimized are one file")
    extents = _extents(text)
    if len(extents) != 1 or "/" in extents[0] or "\\" in extents[0]:
        named = ", ".join(extents[:3]) or "none"
        raise ImageUnacceptable(f"{what} is a VMDK that names other files ({named}): it could be any file of the host")
    if re.search(r"(?im)^\s*parentFileNameHint\s*=", text):
        raise ImageUnacceptable(f"{what} is a VMDK on top of another one: it could be any file of the host")


def _extents(descriptor: str) -> list[str]:
    return re.findall(r'(?im)^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+\w+\s+"([^"\n]*)"', descriptor)


def _check_vhd(what: str, end: bytes) -> None:
    """Of a dynamic VHD the last thing is the footer: where it is missing, so is something before it."""
    if not end.startswith(b"conectix"):
        raise ImageUnacceptable(f"{what} is cut off: the footer of the VHD is missing; get it once more")
    if struct.unpack_from(">I", end, 60)[0] not in (2, 3):
        raise ImageUnacceptable(f"{what} is a VHD on top of another one: it could be any file of the host")


def _check_vdi(what: str, path: str, start: bytes) -> None:
    """`qemu-img check` does not see that a VDI is cut off, and what is missing is read as zeros."""
    (data,) = struct.unpack_from("<I", start, 0x158)
    block, _, _, allocated = struct.unpack_from("<IIII", start, 0x178)
    if os.path.getsize(path) < data + block * allocated:
        raise ImageUnacceptable(f"{what} is cut off: the VDI has blocks that are not in it; get it once more")
