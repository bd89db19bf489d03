"""What a run or its inverse changed on record besides instances."""

from __future__ import annotations

from msgspec import Struct

from slipway.operations.batch import Ended


class Changes(Struct, frozen=True):
    """What a file changed on record, a line each for a person. `kept`: where file and record differ and stay so."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class RunResult(Struct, frozen=True):
    """What a run came to: `changes` of the record besides instances, and each instance of the file, in its order."""

    changes: Changes
    ended: tuple[Ended, ...]
