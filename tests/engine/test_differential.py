"""Random flows: ours comes to an end that TaskFlow's serial engine comes to as well, in one of the orders it takes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from taskflow.patterns import graph_flow, linear_flow, unordered_flow
from taskflow.retry import REVERT, REVERT_ALL, Times

from tests.engine.tasks import Controller, Notes, Noting, load

SEEDS = range(60)
TRIES = 500
"""In how many runs TaskFlow may come to our end: it takes siblings in the order of their addresses. The rarest of our
ends is one in 25 of its."""


class Maker:
    """Makes the same flow each time, for one seed."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._count = 0
        self.notes: Notes = []

    def flow(self, depth: int = 0) -> Any:
        name = self._name("flow")
        children = [self._child(depth) for _ in range(self._draw.randint(1, 4))]
        kind = self._draw.choice((linear_flow, unordered_flow, graph_flow))
        flow = kind.Flow(name, self._retry()).add(*children)
        if kind is graph_flow:
            for at, child in enumerate(children[1:], start=1):
                if self._draw.random() < 0.6:
                    self._link(flow, children[self._draw.randrange(at)], child)
        return flow

    def _link(self, flow: Any, first: Any, second: Any) -> None:
        if self._draw.random() < 0.4 and isinstance(first, Noting):
            goes_on = self._draw.random() < 0.5
            depth = self._draw.choice(("all", "flow", "neighbors", "atom"))
            flow.link(first, second, decider=lambda history: goes_on, decider_depth=depth)
        else:
            flow.link(first, second)

    def _child(self, depth: int) -> Any:
        if depth < 3 and self._draw.random() < 0.4:
            return self.flow(depth + 1)
        fails = self._draw.choice((0, 0, 0, 0, 1, 1, 9))
        return Noting(self._name("task"), self.notes, fails=fails)

    def _retry(self) -> Any:
        if self._draw.random() < 0.6:
            return None
        name = self._name("retry")
        return self._draw.choice(
            (Times(2, name), Times(3, name), Controller(name, REVERT), Controller(name, REVERT_ALL))
        )

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"


class AtOnce(Executor):
    """Carries out what it is given then and there: all that is ready before the first result is seen, as TaskFlow's
    serial engine does."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def end(seed: int, engine: str, **options: Any) -> tuple[Any, ...]:
    """The flow's state, each atom's state, intention and result, and how often each task did what."""
    maker = Maker(seed)
    made = load(maker.flow(), engine, defer_reverts=True, **options)
    error = None
    try:
        made.run()
    except Exception as raised:  # noqa: BLE001 - part of the end
        error = raised
    atoms = {}
    for node, data in made.compilation.execution_graph.nodes(data=True):
        if "noop" not in data:
            known = made.storage.get_atoms_states([node.name])[node.name]
            result = made.storage.get(node.name) if known[0] == "SUCCESS" else None
            if node.name.startswith("retry") and result is not None:
                result = [(given, sorted(failures)) for given, failures in result]
            atoms[node.name] = (*known, result)
    return made.storage.get_flow_state(), atoms, Counter(maker.notes), error is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_flow_ends_as_taskflow_has_it(seed: int) -> None:
    ours = end(seed, "slipway", executor=AtOnce())
    theirs: list[Any] = []
    for _ in range(TRIES):
        theirs.append(end(seed, "serial"))
        if theirs[-1] == ours:
            return
    assert ours in theirs


@pytest.mark.parametrize("executor", [None, "threads"])
def test_what_was_done_stays_done_or_is_undone_wholly(executor: str | None) -> None:
    ends = set()
    for seed in SEEDS:
        state, atoms, notes, failed = end(seed, "slipway", executor=executor)
        ends.add(state)
        left = {found for found, _intention, _result in atoms.values()}
        assert left <= ({"SUCCESS", "IGNORE"} if state == "SUCCESS" else {"REVERTED", "PENDING", "IGNORE"})
        assert failed == (state == "REVERTED")
        for name in (name for name in atoms if name.startswith("task")):
            done = notes[name] - notes[f"-{name}"]
            assert done == (1 if atoms[name][0] == "SUCCESS" else 0), name
    assert ends == {"SUCCESS", "REVERTED"}
