"""The record as one process reaches it: each transaction takes a while, and may be refused or get no answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from bench.simulation.faults import EPOCH, Member
from slipway import errors
from slipway.states.store import Store, Transaction
from slipway.states.workers import CLOCK


class SimulatedStore(Store):
    """A server's, which all reach through one file here. Nobody else goes on while a transaction is open."""

    def __init__(self, shared: Store, member: Member) -> None:
        self.__dict__.update(vars(shared))
        self._member = member
        self._kernel = member.outside.kernel

    @contextmanager
    def read(self, *, once: bool = False) -> Iterator[Transaction]:
        """As the store's own."""
        self._reach("read")
        with super().read(once=once) as tx, self._open(tx):
            yield tx

    @contextmanager
    def write(self, *, once: bool = False) -> Iterator[Transaction]:
        """As the store's own; where it is not known whether it was committed, it may have been."""
        self._reach("write")
        inner = self._kernel.current.in_transaction
        unanswered = not inner and self._member.fragile and self._member.outside.draws("no answer")
        committed = unanswered and self._kernel.rng.random() < 0.5
        with super().write(once=once and not unanswered) as tx:
            with self._open(tx):
                yield tx
            if unanswered and not committed:
                raise errors.DatabaseUnavailable("the connection was lost before the commit")
        if committed:
            raise errors.DatabaseUnavailable("the connection was lost at the commit")
        if not inner:
            self._member.outside.passes("written", 0.01)

    def _reach(self, what: str) -> None:
        member = self._member
        if self._kernel.current.in_transaction:
            return
        member.outside.passes(what, 0.01)
        if max(member.no_database_until, member.outside.database_away_until) > self._kernel.now:
            raise errors.DatabaseUnavailable("the server is out of reach")

    @contextmanager
    def _open(self, tx: Transaction) -> Iterator[None]:
        strand = self._kernel.current
        strand.in_transaction += 1
        tx.info[CLOCK] = lambda: EPOCH + timedelta(seconds=self._kernel.now)
        try:
            yield
        finally:
            strand.in_transaction -= 1

    def comes_back(self, error: BaseException | None) -> bool:
        """As of a server."""
        return isinstance(error, errors.DatabaseUnavailable)

    def scrub(self) -> None:
        """Nothing: a server has no log that others read."""

    def close(self) -> None:
        """Nothing: it is shared."""
