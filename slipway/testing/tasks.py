"""Tasks that are as ever, but that each call of their do and of their undo is a fault point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

from slipway.flows.tasks.base import Task, Work
from slipway.testing.inside import changes
from slipway.testing.wrapped import Faults

TASK = "task"
"""The family of such fault points."""
WITHIN = "within"
"""The family of those that are within such a call, before each change that it makes."""
INSIDE = ".inside"
"""How their names end."""
UNDO = ".undo"
"""How the name of a fault point ends at which something is taken back."""

Around = Callable[[Work, str], AbstractContextManager[None]]
"""What else is around a call; the text is the name of its fault point."""


def nothing(_work: Work, _point: str) -> AbstractContextManager[None]:
    """Nothing is around a call."""
    return nullcontext()


def faulty_tasks(
    catalog: Mapping[str, Task], faults: Faults, *, whole: str, around: Around = nothing, within: bool = True
) -> Mapping[str, Task]:
    """The tasks of a catalog, so wrapped. A fault point has the name of its step, `make` or `make.undo`; where the step
    is another workflow's than the `whole`, with that before it: `inner.make`.

    Each file that a call is about to change, each program and each connection that it begins is one too: `make.inside`;
    not so without `within`.
    """
    made = {name: _FaultyTask(task, faults, whole, around, within=within) for name, task in catalog.items()}
    return cast("Mapping[str, Task]", made)


class _FaultyTask:
    def __init__(self, inner: Task, faults: Faults, whole: str, around: Around, *, within: bool) -> None:
        self._inner, self._faults, self._whole, self._around = inner, faults, whole, around
        self._looks_within = within

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def do(self, work: Work, **given: Any) -> Any:
        """As the task's own. A step's inverse is done by the key of what it takes back, and so is known."""
        return self._call(self._inner.do, work, **given)

    @property
    def undo(self) -> Callable[..., None] | None:
        """As the task's own, None where it has none."""
        if self._inner.undo is None:
            return None

        def undo(work: Work, result: Any, **given: Any) -> None:
            assert self._inner.undo is not None
            self._call(self._inner.undo, work, result, undoing=True, **given)

        return undo

    def _call(self, call: Callable[..., Any], work: Work, *args: Any, undoing: bool = False, **given: Any) -> Any:
        name = work.effect.step if work.run.name == self._whole else f"{work.run.name}.{work.effect.step}"
        if undoing or work.effect.key.endswith("/revert"):
            name += UNDO
        inside = changes(partial(self._within, name + INSIDE)) if self._looks_within else nullcontext()
        with self._around(work, name), self._faults.at(name, TASK), inside:
            return call(work, *args, **given)

    def _within(self, point: str) -> None:
        with self._faults.at(point, WITHIN):
            """It is about to change something."""
