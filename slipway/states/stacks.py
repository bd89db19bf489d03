"""Which stack made what besides instances, by kind and id: names may be given to something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import sqlalchemy as sa

from slipway.model.record import Stack
from slipway.states.schema import stack_members
from slipway.states.store import Transaction


class Kind(StrEnum):
    """What a run file brings about besides instances, which bear their stack themselves."""

    HOST = "host"
    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    SECURITY_GROUP = "security group"
    ROUTER = "router"
    FLOATING_IP = "floating IP"


_OF = sa.and_(stack_members.c.project == sa.bindparam("project"), stack_members.c.stack == sa.bindparam("stack"))
_MEMBERS = sa.select(stack_members.c.kind, stack_members.c.id).where(_OF)
_OF_KIND = sa.select(stack_members.c.id).where(_OF, stack_members.c.kind == sa.bindparam("kind"))
_ONE = sa.and_(stack_members.c.kind == sa.bindparam("b_kind"), stack_members.c.id == sa.bindparam("b_id"))
_STACK = sa.select(stack_members.c.project, stack_members.c.stack).where(_ONE)
_ADD, _DROP = stack_members.insert(), stack_members.delete().where(_ONE)


def add(tx: Transaction, stack: Stack, kind: Kind, id_: str) -> None:
    """Have it on record that the stack made this."""
    drop(tx, kind, id_)
    tx.execute(_ADD, {"kind": kind, "id": id_, "project": stack.project, "stack": stack.name})


def drop(tx: Transaction, kind: Kind, id_: str) -> None:
    """Forget what is gone. Absent: nothing happens."""
    tx.execute(_DROP, {"b_kind": kind, "b_id": id_})


def members(tx: Transaction, stack: Stack, kind: Kind) -> Sequence[str]:
    """The ids of what the stack made of this kind, sorted; some may be gone by somebody else's hand."""
    found = tx.scalars(_OF_KIND, {"project": stack.project, "stack": stack.name, "kind": kind})
    return sorted(found)


def all_members(tx: Transaction, stack: Stack) -> Mapping[Kind, frozenset[str]]:
    """The same of every kind."""
    found: dict[str, set[str]] = {kind: set() for kind in Kind}
    for row in tx.execute(_MEMBERS, {"project": stack.project, "stack": stack.name}):
        found.setdefault(row.kind, set()).add(row.id)
    return {kind: frozenset(found[kind]) for kind in Kind}


def stack_of(tx: Transaction, kind: Kind, id_: str) -> Stack | None:
    """The stack that made it, if any did."""
    row = tx.execute(_STACK, {"b_kind": kind, "b_id": id_}).one_or_none()
    return None if row is None else Stack(row.project, row.stack)
