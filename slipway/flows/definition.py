"""A workflow as data: steps, what they take, and the order in which they need each other."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class Reference(Struct, frozen=True):
    """A plain path such as `${{ steps.network.outputs.requests }}`, taken apart at the dots and brackets."""

    path: tuple[str, ...]

    @property
    def step(self) -> str | None:
        """The step whose outputs are meant, if any are."""
        return self.path[1] if self.path[0] == "steps" else None


Value: TypeAlias = Reference | str | int | float | bool | None
"""What a `with:` argument may be."""


class Retry(Struct, frozen=True):
    """How often a step is tried, with which waits (seconds), and on which error classes (none: the transient ones)."""

    max_attempts: int
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 30.0
    errors: tuple[str, ...] = ()


class StepDefinition(Struct, frozen=True):
    """One step: the task that carries it out, its arguments, and the steps that must have ended before it."""

    id: str
    uses: str
    arguments: tuple[tuple[str, Value], ...] = ()
    needs: tuple[str, ...] = ()
    for_each: Reference | None = None
    timeout: float | None = None
    retry: Retry | None = None
    position: str = ""

    @property
    def references(self) -> tuple[Reference, ...]:
        """Everything that the step refers to."""
        found = [value for _, value in self.arguments if isinstance(value, Reference)]
        return (*found, self.for_each) if self.for_each is not None else tuple(found)


class Definition(Struct, frozen=True):
    """A checked workflow: its steps in an order in which they can run, and the time-out (seconds) of those without."""

    name: str
    steps: tuple[StepDefinition, ...]
    timeout: float | None = None


class TaskSignature(Struct, frozen=True):
    """What a task takes: the arguments that it needs, and those that it does without. `refused`: why it has no use."""

    inputs: frozenset[str]
    optional: frozenset[str] = frozenset()
    refused: str = ""
