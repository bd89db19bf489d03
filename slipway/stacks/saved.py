"""A plan in a file: one JSON object with a seal, by which a plan that was changed, or is another record's, is known.

    {"slipway_plan": 1, "slipway": "0.1.0", "seal": "...", "plan": {...}}

The seal is an HMAC-SHA256 of the version and the plan's bytes under the record's id: whoever has only the file cannot
make another one that fits.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from slipway import errors
from slipway.drivers.files import replace as put
from slipway.stacks.plan import Plan

FORMAT = 1
"""Raised by one with each change of what a plan has in it."""

_BEGINNING = b'{"slipway_plan":'
_LARGEST = 256 * 1024 * 1024
"""Bytes that are read of what says that it is a plan."""


@cache
def _version() -> str:
    """Slipway's own: what a plan means may differ with it."""
    return version("slipway")


class _Saved(Struct, frozen=True):
    slipway_plan: int
    slipway: str
    seal: str
    plan: msgspec.Raw


class _Head(Struct, frozen=True):
    """What every version has: read before anything else."""

    slipway_plan: int
    slipway: str = ""


def is_saved(path: Path) -> bool:
    """Whether a file says that it is a saved plan; what cannot be read does not."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False


def save(plan: Plan, path: Path) -> None:
    """Write it, for its owner alone. Raises `PlanUnusable` for a place where something else is, or nothing can be."""
    if path.exists() and not is_saved(path):
        raise errors.PlanUnusable(f"{path} is there and is no saved plan: name another file")
    body = msgspec.json.encode(plan, enc_hook=_plain)
    saved = _Saved(FORMAT, _version(), _seal(plan.installation, body), msgspec.Raw(body))
    try:
        put(str(path.absolute()), msgspec.json.encode(saved) + b"\n")
    except OSError as error:
        raise errors.PlanUnusable(f"{path} cannot be written: {error.strerror or error}") from error


def read(path: Path) -> Plan:
    """The plan in a file, without a look at its seal: whose it is says what is needed for that.

    Raises `PlanUnusable`.
    """
    return _read(path)[1]


def load(path: Path, installation: str) -> Plan:
    """A plan of the record with this id. Raises `PlanUnusable`."""
    saved, plan = _read(path)
    if not hmac.compare_digest(saved.seal, _seal(plan.installation, bytes(saved.plan))):
        raise errors.PlanUnusable(f"{path} was changed since it was saved, or is cut off: make a new plan")
    if plan.installation not in ("", installation):
        raise errors.PlanUnusable(f"{path} was made for another record: --state or --db names that")
    return plan


def _read(path: Path) -> tuple[_Saved, Plan]:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise errors.PlanUnusable(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > _LARGEST:
        raise errors.PlanUnusable(f"{path} is larger than {_LARGEST} bytes, which no plan is")
    try:
        head = msgspec.json.decode(data, type=_Head)
        if (head.slipway_plan, head.slipway) != (FORMAT, _version()):
            theirs = f"Slipway {head.slipway or 'of an unknown version'} (plans of version {head.slipway_plan})"
            raise errors.PlanUnusable(f"{path} was made by {theirs}, this is {_version()}: make a new plan")
        saved = msgspec.json.decode(data, type=_Saved)
        return saved, msgspec.json.decode(saved.plan, type=Plan, dec_hook=_typed)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise errors.PlanUnusable(f"{path} is no plan that Slipway wrote: {error}; make a new one") from error


def _seal(installation: str, body: bytes) -> str:
    key = f"slipway {_version()} {FORMAT} {installation}".encode()
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, (Path, str)):
        return str(value)
    raise NotImplementedError(f"objects of type {type(value).__name__} are in no plan")


def _typed(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"objects of type {kind.__name__} are in no plan")
