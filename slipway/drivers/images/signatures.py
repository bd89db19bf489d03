"""Signatures of checksum files, detached or around them, looked at by `gpgv`: with the keys of one keyring alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.drivers import programs
from slipway.errors import DiskError, ImageUnacceptable

_PATIENCE = 30.0
_ARMOURED = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


def can_check() -> bool:
    """Whether signatures can be looked at here."""
    return shutil.which("gpgv") is not None


def is_clearsigned(content: bytes) -> bool:
    """Whether a file bears its signature in itself."""
    return content.lstrip().startswith(_CLEARSIGNED)


def verified(content: bytes, signature: bytes | None, keyring: str, *, where: str) -> bytes:
    """What of the file is signed: all of it by a detached signature, the text within by one that is around it.

    `where` is the file's name in errors. Raises `ImageUnacceptable` for a signature that is none of the keyring's, and
    `DiskError` where it cannot be looked at.
    """
    if signature is None and not is_clearsigned(content):
        raise ImageUnacceptable(f"{where} bears no signature, and none was given with it")
    with TemporaryDirectory(prefix="slipway-signature-") as place:
        keys, data, detached, inside = (f"{place}/{name}" for name in ("keys", "data", "detached", "inside"))
        Path(keys).write_bytes(_binary(keyring))
        Path(data).write_bytes(content)
        if signature is None:
            # What stands before or after the signed text is nobody's: what gpgv has written is all that counts.
            _gpgv(where, "--keyring", keys, "--output", inside, data)
            return Path(inside).read_bytes()
        Path(detached).write_bytes(signature)
        _gpgv(where, "--keyring", keys, detached, data)
        return content


def _binary(keyring: str) -> bytes:
    """The keyring as gpgv reads it. Raises `DiskError` where it cannot be read."""
    try:
        content = Path(keyring).read_bytes()
    except OSError as error:
        raise DiskError(f"the keyring {keyring} cannot be read: {error.strerror}") from error
    if not content.lstrip().startswith(_ARMOURED):
        return content
    try:
        done = subprocess.run(
            ["gpg", "--batch", "--dearmor"], input=content, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DiskError(f"the keyring {keyring} is armoured, and gpg cannot be run: install gnupg") from error
    if done.returncode:
        raise DiskError(f"the keyring {keyring} cannot be read: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _gpgv(where: str, *arguments: str) -> None:
    try:
        done = programs.run(["gpgv", *arguments], timeout=_PATIENCE)
    except OSError as error:
        raise DiskError(f"gpgv cannot be run: {error.strerror}; install gpgv") from error
    except subprocess.TimeoutExpired as error:
        raise DiskError(f"gpgv did not end within {error.timeout:.3g} s") from error
    if done.returncode:
        said = " ".join(line.removeprefix("gpgv: ") for line in done.stderr.splitlines())
        raise ImageUnacceptable(f"the signature of {where} is not good: {said or f'gpgv ended with {done.returncode}'}")
