"""Which of many instances are meant, and in which order they are told."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Selection(Struct, frozen=True):
    """The instances of which all is true that is said here; what is empty or None says nothing.

    `names` are patterns as a shell has them (`web-*`, `db-[12]`), of which one has to fit, and `states` are those of
    which it has to be in one. Each of `labels`, a name and a value, has to be among its metadata. `deleted`: those that
    were deleted in place of those that were not.
    """

    names: tuple[str, ...] = ()
    project: str | None = None
    stack: str | None = None
    host: str | None = None
    states: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    deleted: bool = False


EVERY = Selection()
"""All that are not deleted."""


class SortKey(StrEnum):
    """By what instances are put in order; by project, name and id where that is the same."""

    NAME = "name"
    PROJECT = "project"
    STATE = "state"
    HOST = "host"
    STACK = "stack"
    CREATED = "created"
    LAUNCHED = "launched"
    DELETED = "deleted"


class Order(Struct, frozen=True):
    """An order; None: by project and name, in which a part is found without reading what is before it."""

    key: SortKey | None = None
    descending: bool = False


BY_NAME = Order()
"""The order of a list for which none was asked."""
