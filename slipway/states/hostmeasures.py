"""What was measured on hosts, beside what their entries say."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.errors import RecordDamaged
from slipway.model.measured import Measured
from slipway.states import codec
from slipway.states.schema import host_measures
from slipway.states.statements import insert_if_absent
from slipway.states.store import Transaction

_OF = host_measures.c.host == sa.bindparam("b_host")


def of(tx: Transaction, host: str) -> Measured | None:
    """What was measured last; None: nothing ever, or nothing that can be read: it is measured again."""
    found = tx.scalar(sa.select(host_measures.c.measured).where(_OF), {"b_host": host})
    try:
        return None if found is None else codec.decode(found, Measured)
    except RecordDamaged:
        return None


def keep(tx: Transaction, host: str, measured: Measured) -> None:
    """Have this be what was measured last on a host on record; the caller has it locked."""
    values = {"host": host, "measured": codec.encode(measured)}
    if not tx.execute(insert_if_absent(host_measures).values(values)).rowcount:
        tx.execute(host_measures.update().where(_OF), {"b_host": host, "measured": values["measured"]})
