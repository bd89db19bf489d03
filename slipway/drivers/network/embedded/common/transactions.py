"""Transactions to work in, and what is told after they were committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from msgspec import Struct

from slipway.drivers.network.embedded.common.tables import TABLES
from slipway.listeners import tell
from slipway.model.network import Network, Port, Subnet
from slipway.states.postgresql import lock_network
from slipway.states.schema import make_tables
from slipway.states.store import Store, Transaction


class NetworkEvent(Struct, frozen=True):
    """Something that happened to a network, subnet or port, told after the commit; `type` is like `port.create`.

    `resource` is the thing as it is then, a deleted one as it was.
    """

    type: str
    at: datetime
    resource: Network | Subnet | Port


class Transactions:
    """The caller's transaction, or one of our own where none was passed in."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], on_event: Callable[[NetworkEvent], None] | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_event = on_event
        self._create_tables()

    def _create_tables(self) -> None:
        with self._store.read() as tx:
            there = tx.dialect.has_table(tx, TABLES[-1].name)
        if not there:
            with self._store.write() as tx:
                make_tables(tx, TABLES)

    @contextmanager
    def writing(self, tx: Transaction | None, *, alone: bool = True) -> Iterator[Transaction]:
        """A transaction to write in. One that was passed in is left as it was before when an error comes through.

        `alone`: nobody else changes anything meanwhile; otherwise others change ports, and nothing else.
        """
        if tx is None:
            with self._store.write() as own:
                lock_network(own, alone=alone)
                yield own
            return
        lock_network(tx, alone=alone)
        # Each has a name of its own, so that none need be released: the end of the transaction does that.
        name = f"embedded_network_{next(tx.info['savepoints'])}"
        tx.exec_driver_sql(f"SAVEPOINT {name}")
        try:
            yield tx
        except BaseException:
            # A server that has cut the connection has rolled all of it back.
            if not tx.invalidated:
                tx.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")
            raise

    @contextmanager
    def reading(self, tx: Transaction | None, *, once: bool = False) -> Iterator[Transaction]:
        """A transaction to read in; `once`: a single statement."""
        if tx is not None:
            yield tx
            return
        with self._store.read(once=once) as own:
            yield own

    @property
    def are_heard(self) -> bool:
        """Whether anybody asked for events."""
        return self._on_event is not None

    def tell(self, tx: Transaction, kind: str, resource: Network | Subnet | Port) -> None:
        """Have whoever asked for events told of this one after the commit. A listener that fails is logged."""
        on_event = self._on_event
        if on_event is None:
            return
        event = NetworkEvent(kind, self._clock(), resource)
        self._store.after_commit(tx, lambda: tell(on_event, event, kind))

    def after(self, tx: Transaction, call: Callable[[], None]) -> None:
        """Have `call` called when the transaction was committed."""
        self._store.after_commit(tx, call)
