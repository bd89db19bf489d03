"""Tasks whose service is a directory: a thing is a file in it. Some have a defect that a drill is to find."""

from __future__ import annotations

import base64
import hashlib
import uuid
from pathlib import Path

from slipway.flows.tasks.base import Work
from slipway.flows.tasks.decorator import task


def _file(work: Work, place: str, name: str) -> Path:
    """Named after the effect's key: the same whenever it is asked for."""
    return Path(place, f"{name}-{hashlib.sha256(work.effect.key.encode()).hexdigest()[:12]}")


def _unmake(work: Work, place: str, name: str) -> None:
    _file(work, place, name).unlink(missing_ok=True)


@task(revert=_unmake)
def make_thing(work: Work, place: str, name: str) -> str:
    """Make a thing."""
    path = _file(work, place, name)
    path.touch()
    return str(path)


@task()
def take_thing(path: str) -> None:
    """Take a thing away, whoever made it. Has no undo: it is one."""
    Path(path).unlink(missing_ok=True)


# --- defects ------------------------------------------------------------------------------------------------------


def _unmake_by_id(result: str | None) -> None:
    if result is not None:
        Path(result).unlink(missing_ok=True)


@task(revert=_unmake_by_id)
def make_by_id(place: str, name: str) -> str:
    """Make a thing that only the id that is given back tells from others."""
    path = Path(place, f"{name}-{uuid.uuid4().hex}")
    path.touch()
    return str(path)


def _do_nothing() -> None:
    """Leaves it."""


@task(revert=_do_nothing)
def make_and_leave(work: Work, place: str, name: str) -> str:
    """Make a thing whose undo does nothing."""
    return make_thing(work, place, name)


def _unmake_once(work: Work, place: str, name: str) -> None:
    _file(work, place, name).unlink()


@task(revert=_unmake_once)
def make_once(work: Work, place: str, name: str) -> str:
    """Make a thing whose undo fails where there is nothing to take back."""
    return make_thing(work, place, name)


@task(revert=_unmake)
def make_with_secret(work: Work, place: str, name: str, token: str) -> str:
    """Make a thing, and give back how the service was asked for it."""
    make_thing(work, place, name)
    return "Basic " + base64.b64encode(f"user:{token}".encode()).decode()


@task(revert=_unmake)
def make_and_print(work: Work, place: str, name: str, token: str) -> str:
    """Make a thing, and say how."""
    print("asked with", token)
    return make_thing(work, place, name)


def _unmake_two(work: Work, place: str, name: str) -> None:
    for part in ("first", "second"):
        _file(work, place, f"{name}-{part}").unlink(missing_ok=True)


@task(revert=_unmake_two)
def make_two(work: Work, place: str, name: str) -> str:
    """Make two things, and take it that both are there where one is."""
    first, second = (_file(work, place, f"{name}-{part}") for part in ("first", "second"))
    if not first.exists():
        first.touch()
        second.touch()
    return str(first)
