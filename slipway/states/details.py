"""One instance with everything on record about it."""

from __future__ import annotations

from msgspec import Struct

from slipway.model.machine import Claim
from slipway.model.record import Effect, HistoryEntry, Instance
from slipway.states import effects, hosts, instances
from slipway.states.history import history_of
from slipway.states.store import Transaction


class Details(Struct, frozen=True):
    """One instance with everything on record about it."""

    instance: Instance
    claim: Claim | None
    effects: tuple[Effect, ...]
    history: tuple[HistoryEntry, ...]


def details_of(tx: Transaction, name: str, project: str | None) -> Details:
    """Of the instance by name or id; a deleted one is found by its id. Raises `InstanceNotFound`."""
    found = instances.find(tx, name, project)
    if found is None:
        found = instances.get(tx, name)
    claim = hosts.claim_of(tx, found.id)
    return Details(found, claim, tuple(effects.effects_of(tx, found.id)), tuple(history_of(tx, found.id)))
