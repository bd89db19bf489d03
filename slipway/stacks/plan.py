"""What a run would do, change by change: records that can be looked at, saved, compared and carried out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from slipway.model.record import Stack
from slipway.model.request import NetworkRequest, Volume
from slipway.runfile.entries import RunFile


class How(StrEnum):
    """What becomes of a thing, or of one of its attributes."""

    MAKE = "make"
    CHANGE = "change"
    """In place: nothing stops."""
    STOP = "stop"
    """By a stop, after which it runs again."""
    REPLACE = "replace"
    """Deleted, and built anew as the file says."""
    PRUNE = "prune"
    """It has left the file and is taken away."""
    FINISH = "finish"
    """Somebody who is gone has begun it."""
    MEND = "mend"
    """It is not as the record says."""
    KEEP = "keep"
    """It stays as it is, although the file says otherwise."""
    LEFT = "left"
    """It has left the file and stays."""


ACTS = frozenset({How.MAKE, How.CHANGE, How.STOP, How.REPLACE, How.PRUNE, How.FINISH, How.MEND})
"""After these something is another way than before."""

ASKED = frozenset({How.STOP, How.REPLACE, How.PRUNE})
"""What nothing does that was not told to."""

_MAY_LOSE = frozenset({How.CHANGE, How.MEND})
"""What nothing does that was not told to where anything is lost by it."""


class Difference(Struct, frozen=True):
    """One attribute as it is and as the file has it, in words, and what becomes of it. `why`: why not in place."""

    attribute: str
    have: str
    want: str
    how: How
    why: str = ""


class PlannedEffect(Struct, frozen=True):
    """One effect of a build, as the ledger will have it: `what` it is in words, and what would undo it.

    `slot` is None for steps of which only the build itself knows how many effects they have.
    """

    step: str
    kind: str
    slot: int | None
    what: str
    inverse: str
    irreversible: bool = False


class PlannedRun(Struct, frozen=True):
    """One change of an instance that is built, a run of its own: `what` it is in words, and what would take it back.

    `verb` is that of the command which does it. `how` is STOP where its guest is stopped for it. `lost`: what nothing
    brings back; without an `inverse` nothing takes it back. What the verb is given besides: the `nic` or `disk` that is
    attached, `of`: the port or device that is detached or grows, or the host to move to, the `attributes` that are set.
    """

    verb: str
    how: How
    what: str
    inverse: str
    lost: str = ""
    of: str = ""
    nic: NetworkRequest | None = None
    disk: int | Volume | None = None
    attributes: tuple[str, ...] = ()


class Change(Struct, frozen=True):
    """What becomes of one thing: a "host", "network", "subnet", "port", "router" and so on, "instance" or "settings".

    `id` is that of what is there, `within` the name of a subnet's or port's network. `why` says what is to be known
    besides, `inverse` what would take it back, `lost` what nothing brings back, `problem` why it will fail. An instance
    that is to be built has its `host`, `because` of what, its `addresses` ("auto (SUBNET)": any of it) and `effects`;
    one that is changed has the `runs` by which it is, and the `addresses` of new NICs.
    `told`: an option has said that it may be replaced. `real`: it is about what is there, not about what the file says.
    """

    how: How
    kind: str
    name: str
    id: str | None = None
    within: str | None = None
    differences: tuple[Difference, ...] = ()
    why: str = ""
    inverse: str = ""
    lost: str = ""
    problem: str = ""
    host: str | None = None
    because: str = ""
    addresses: tuple[str, ...] = ()
    effects: tuple[PlannedEffect, ...] = ()
    runs: tuple[PlannedRun, ...] = ()
    told: bool = False
    real: bool = False

    @property
    def label(self) -> str:
        """What it is called: `subnet front-v4`."""
        return self.kind if self.kind == self.name else f"{self.kind} {self.name}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of what is changed in place."""
        return tuple(one.attribute for one in self.differences if one.how is How.CHANGE)


REAL = "what is there of"
"""How what was seen of reality is labelled."""


class Seen(Struct, frozen=True):
    """What a plan was made on: a thing, and what was on record or real of it, by attribute."""

    label: str
    says: tuple[tuple[str, str], ...]


class Wish(Struct, frozen=True):
    """What was asked for besides the file.

    `prune`: what has left it is taken away. `replace_failed`: instances in ERROR are built anew. `repair`: reality
    counts.
    """

    prune: bool = False
    replace_failed: bool = False
    repair: bool = True


class Plan(Struct, frozen=True):
    """All that a run of `file` would do, in the order in which it does it, and what stays.

    `unchanged`: the labels of what is as the file says. `seen`: what it was made on, so that it can be told whether
    that has moved since. `installation`: the record's id.
    """

    file: RunFile
    wish: Wish
    installation: str
    made_at: datetime
    changes: tuple[Change, ...]
    unchanged: tuple[str, ...]
    seen: tuple[Seen, ...]

    @property
    def stack(self) -> Stack:
        """Whose it is."""
        return self.file.stack

    @property
    def acts(self) -> tuple[Change, ...]:
        """What would be done."""
        return tuple(change for change in self.changes if change.how in ACTS)

    @property
    def asked(self) -> tuple[Change, ...]:
        """What is done only when somebody has said so: what is stopped, replaced or pruned, or loses something."""
        return tuple(
            change
            for change in self.changes
            if not change.told and (change.how in ASKED or (change.how in _MAY_LOSE and change.lost))
        )

    def of(self, kind: str) -> dict[str, Change]:
        """The changes of a kind by name; those of subnets and ports by network and name would clash, see `within`."""
        return {change.name: change for change in self.changes if change.kind == kind}
