"""`qemu-img`, always told the format, and held by resource limits: an image's author chooses what it must parse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Container
from typing import Any

from slipway.drivers import programs
from slipway.errors import DiskError, StepTimeout

_MEMORY, _CPU = 1 << 30, 30
"""Nova: 1 GiB of address space and 30 s of processor time."""

_PATIENCE = 60.0
"""Seconds, for a disk that does not answer."""

_CONVERSION = 3600.0
"""Seconds in which an image is converted: all of it is read, and written."""

_CHECKED = (0, 2, 3)
"""How `qemu-img check` ends when it has seen all of an image: without errors, with some, or with leaked clusters."""


def info(path: str, form: str) -> dict[str, Any]:
    """What the image of this format says of itself. Raises `DiskError`."""
    found: dict[str, Any] = json.loads(_run("info", "-f", form, "--output=json", "--", path))
    return found


def create(path: str, size: int, base: tuple[str, str] | None = None) -> None:
    """Make the file a qcow2 of `size` bytes, empty or on top of `base`, a path and its format. Raises `DiskError`."""
    backing = () if base is None else ("-b", base[0], "-F", base[1])
    _run("create", "-q", "-f", "qcow2", *backing, "--", path, str(size))


def resize(path: str, size: int) -> None:
    """Have a guest see so many bytes of the qcow2, more than before. Raises `DiskError`."""
    _run("resize", "-q", "-f", "qcow2", "--", path, str(size))


def convert(source: str, form: str, target: str) -> None:
    """Make the file `target` a qcow2 of what a guest sees of `source`, which nobody may write on. Raises `DiskError`.

    What is empty takes no room.
    """
    _run("convert", "-f", form, "-O", "qcow2", "--", source, target, cpu=int(_CONVERSION), patience=_CONVERSION)


def check(path: str, form: str = "qcow2") -> int:
    """How many errors the image has, leaked clusters apart. Raises `DiskError`."""
    # Each error is a line on standard error, and how many there are is up to the image's author.
    found: dict[str, Any] = json.loads(
        _run("check", "-f", form, "--output=json", "--", path, good=_CHECKED, errors=subprocess.DEVNULL)
    )
    return int(found.get("corruptions", 0)) + int(found["check-errors"])


def _run(
    *arguments: str,
    good: Container[int] = (0,),
    errors: int = subprocess.PIPE,
    cpu: int = _CPU,
    patience: float = _PATIENCE,
) -> str:
    """What it says. Raises `StepTimeout` where its time is over, which is the host's fault and not the image's."""
    limits = (f"--as={_MEMORY}", f"--cpu={cpu}")
    # Each of its threads would reserve addresses of its own, and on a busy machine there are many of those.
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    try:
        done = programs.run(
            ["prlimit", *limits, "--", "qemu-img", *arguments], timeout=patience, env=env, stderr=errors
        )
    except OSError as error:
        raise DiskError(f"{error.filename} cannot be run: {error.strerror}; install util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise StepTimeout(f"qemu-img {arguments[0]} did not end within {error.timeout:.3g} s") from error
    if done.returncode == 127:
        raise DiskError("qemu-img cannot be run; install qemu-utils")
    if done.returncode not in good:
        said = " ".join((done.stderr or "").split()) or f"it ended with {done.returncode}"
        raise DiskError(f"qemu-img {arguments[0]} failed: {said}")
    return done.stdout
