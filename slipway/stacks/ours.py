"""What of the world is a stack's: by the record, or by a mark where a run was cut off before that was written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context
from slipway.model.record import Instance, Stack
from slipway.states import stacks
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction

_MARK = "slipway-stack:"
_MARKS = uuid.UUID("c1f2a7de-55b0-4a55-9d6e-3a3f4a1f7b20")


class _Described(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def description(self) -> str: ...


D = TypeVar("D", bound=_Described)


class Ours:
    """One stack's things. In a network of our own database they are made and recorded in one transaction, `tx`.

    A network service elsewhere has them first, with the stack's mark as their description, and then the record.
    """

    def __init__(self, stack: Stack, store: Store, network: NetworkDriver, tx: Transaction | None) -> None:
        self.stack = stack
        self._store = store
        self._tx = tx
        mark = uuid.uuid5(_MARKS, f"{stack.project}/{stack.name}")
        self._mark = f"{_MARK}{store.installation}:{mark}"
        self.description = "" if network.local else self._mark
        """Of each thing that is made in the network service."""

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """The one that is open, or one of its own."""
        if self._tx is not None:
            yield self._tx
            return
        with self._store.write() as tx:
            yield tx

    def reading(self) -> AbstractContextManager[Transaction]:
        """The one that is open, or one to read in."""
        return self._store.read() if self._tx is None else nullcontext(self._tx)

    def add(self, kind: Kind, id_: str) -> None:
        """Have it on record that the stack made it."""
        with self.transaction() as tx:
            stacks.add(tx, self.stack, kind, id_)

    def drop(self, kind: Kind, id_: str) -> None:
        """Forget what is gone."""
        with self.transaction() as tx:
            stacks.drop(tx, kind, id_)

    def ids(self, kind: Kind) -> Collection[str]:
        """The ids that are on record."""
        with self.reading() as tx:
            return stacks.members(tx, self.stack, kind)

    def all_ids(self) -> Mapping[Kind, frozenset[str]]:
        """Those of every kind."""
        with self.reading() as tx:
            return stacks.all_members(tx, self.stack)

    def is_unrecorded(self, kind: Kind, thing: _Described) -> bool:
        """Whether it bears the mark and is not on record: a run was cut off when it had just made it."""
        return thing.description == self._mark and thing.id not in self.ids(kind)

    def of(self, kind: Kind, things: Sequence[D]) -> Sequence[D]:
        """Those of these that are the stack's."""
        recorded = set(self.ids(kind))
        return [thing for thing in things if thing.id in recorded or thing.description == self._mark]

    def found(self, kind: Kind, list_: Callable[..., Sequence[D]], context: Context) -> Sequence[D]:
        """What is there of the stack's, as the network service lists it; what is gone by another hand is forgotten."""
        recorded = self.ids(kind)
        if not recorded and not self.description:
            return ()
        there = self.of(kind, list_(context, tx=self._tx))
        for id_ in set(recorded) - {thing.id for thing in there}:
            self.drop(kind, id_)
        return there

    def is_given_back(self, thing: _Described) -> bool:
        """Whether it was brought under the stack and is a service's elsewhere that Slipway has not made for a stack."""
        return bool(self.description) and not thing.description.startswith(_MARK)

    def whose(self, kind: Kind, id_: str) -> str:
        """Words that say why something is not the stack's."""
        with self.reading() as tx:
            return told(stacks.stack_of(tx, kind, id_), self.stack.project)


def stack_of(instance: Instance) -> Stack | None:
    """The stack whose run made the instance, if any did."""
    return None if instance.stack is None else Stack(instance.project, instance.stack)


def told(stack: Stack | None, project: str) -> str:
    """That something is another stack's, or none's; seen from a project."""
    if stack is None:
        return "no stack made it"
    where = "" if stack.project == project else f" of project {stack.project}"
    return f"stack {stack.name}{where} made it"
