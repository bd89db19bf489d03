"""Tasks that note what becomes of them."""

from __future__ import annotations

from typing import Any

from taskflow import engines, retry, task
from taskflow.engines.base import Engine

Notes = list[str]


class Noting(task.Task):  # type: ignore[misc]
    """Notes its own name when it is executed, `-name` when it is reverted; fails at either where it is told to."""

    def __init__(self, name: str, notes: Notes, *, fails: int = 0, revert_fails: bool = False, **more: Any) -> None:
        """`fails`: how often it does before it succeeds."""
        super().__init__(name, **more)
        self._notes = notes
        self._fails = fails
        self._revert_fails = revert_fails

    def execute(self, **_given: Any) -> str:
        self._notes.append(self.name)
        if self._fails:
            self._fails -= 1
            raise RuntimeError(f"{self.name} failed")
        return f"{self.name}'s"

    def revert(self, **_given: Any) -> None:
        self._notes.append(f"-{self.name}")
        if self._revert_fails:
            raise ValueError(f"{self.name} stays")


class Controller(retry.Retry):  # type: ignore[misc]
    """Says the same at each failure, or raises what it is to say."""

    def __init__(self, name: str, says: Any) -> None:
        super().__init__(name)
        self._says = says

    def execute(self, history: Any, **_given: Any) -> None: ...

    def on_failure(self, history: Any, **_given: Any) -> Any:
        if isinstance(self._says, Exception):
            raise self._says
        return self._says


def load(flow: Any, engine: str, **options: Any) -> Engine:
    made: Engine = engines.load(flow, engine=engine, **options)
    return made


def states(engine: Engine) -> dict[str, str]:
    """The state of each atom."""
    engine.compile()
    names = [node.name for node, data in engine.compilation.execution_graph.nodes(data=True) if "noop" not in data]
    return {name: engine.storage.get_atom_state(name) for name in names}
