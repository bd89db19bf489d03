"""What is about to be done, and how it gets on record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from slipway.model.record import Effect, Scope

M = TypeVar("M")


class Durability(Enum):
    """How a step gets on record."""

    LOCAL = auto()
    """Its effect is rows of our own database: they and `done` are one commit."""
    FOREIGN = auto()
    """Its effect is elsewhere: `intended` is committed before it, `done` after it."""
    RECORDED = auto()
    """It has no effect; its result is committed, since a resume must find the same one."""
    WITH_NEXT = auto()
    """Recorded, in the commit of whatever comes next: before that nothing which lasts can depend on it."""
    PURE = auto()
    """It has no effect and can be repeated: nothing is written."""


class Intent(Struct, Generic[M], frozen=True):
    """What is about to be done: the row to be. `args` is all that its undo will need."""

    step: str
    slot: int
    kind: str
    scope: Scope
    host: str | None
    args: bytes
    timeout: float
    enters: M | None = None
    leads_to: M | None = None
    anyway: bool = False
    """It is to be done at the end as well, whatever came of the rest."""


class PutOff(Struct, Generic[M], frozen=True):
    """What is to go on record with the next commit; `again`: in place of a row that was undone."""

    done: Effect
    intent: Intent[M]
    columns: dict[str, Any]
    again: bool


Around: TypeAlias = Callable[[str, str, int], AbstractContextManager[Callable[[str], None]]]
"""What each "step" and "undo" is done in, with its step and slot, where anybody wants to see it; it gives what is told
of a failure that is not raised."""


def as_it_is(data: bytes) -> bytes:
    """What is put on record of what is encoded, where nothing in it is secret."""
    return data
