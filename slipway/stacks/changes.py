"""What a run or its inverse changed on record besides instances."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from slipway.operations.batch import Ended, Status


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

    @property
    def finished(self) -> bool:
        """Whether it went on with what somebody else had begun, so that there may be more to be done by now."""
        return any(one.status is Status.RESUMED for one in self.ended)

    def then(self, later: RunResult) -> RunResult:
        """Both together: how each ended that did anything in the later one, and what stays by now."""
        names = Changes.__struct_fields__
        both = {name: (*getattr(self.changes, name), *getattr(later.changes, name)) for name in names}
        changes = Changes(**{**both, "kept": later.changes.kept})
        before = {one.name: one for one in self.ended}
        after = {one.name: one for one in later.ended}
        idle = (one.name for one in later.ended if one.status is Status.UNCHANGED and one.name in before)
        kept = {name: replace(before[name], kept=after[name].kept) for name in idle}
        return RunResult(changes, tuple({**before, **after, **kept}.values()))
