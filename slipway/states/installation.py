"""What is on record of the installation itself."""

from __future__ import annotations

import sqlalchemy as sa

from slipway.settings import Settings
from slipway.states import codec
from slipway.states.schema import meta
from slipway.states.store import Transaction

_ID = sa.select(meta.c.installation)


def id_of(tx: Transaction) -> str:
    """The id that the record got when it was made."""
    found: str = tx.execute(_ID).scalar_one()
    return found


def settings(tx: Transaction) -> Settings | None:
    """The settings of the last run, None before the first one. Raises `RecordDamaged`."""
    kept = tx.scalar(sa.select(meta.c.settings))
    return codec.decode(kept, Settings) if kept else None


def keep_settings(tx: Transaction, used: Settings) -> None:
    """Keep the settings of a run, so that what goes on with its builds goes on by the same ones."""
    encoded = codec.encode(used)
    if tx.scalar(sa.select(meta.c.settings)) != encoded:
        tx.execute(meta.update().values(settings=encoded))
