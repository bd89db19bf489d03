"""The branches of a flow that run side by side, and their end: a build is not let go before the last one has ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")


class Branches(Executor):
    """Somebody else's executor, and what one flow has going on in it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._begun: list[Future[Any]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have it done."""
        future = self._executor.submit(fn, *args, **kwargs)
        self._begun = [one for one in self._begun if not one.done()]
        self._begun.append(future)
        return future

    def join(self) -> None:
        """Wait for what is being done, and have nothing done that is not begun yet."""
        for future in self._begun:
            future.cancel()
        wait(self._begun)

    @property
    def ended(self) -> bool:
        """Whether nothing is being done, or will be."""
        return all(future.done() for future in self._begun)
