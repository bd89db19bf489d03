"""The effects of one owner as its worker knows them: what a transaction adds is forgotten where it is not committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from slipway.model.record import Effect


class Known:
    """By key, in the order in which they came on record; to look at a step's costs the same however many there are."""

    def __init__(self, effects: Iterable[Effect] = ()) -> None:
        self._by_key: dict[str, Effect] = {}
        self._by_step: dict[str, dict[str, Effect]] = {}
        self._replaced: list[tuple[Effect, Effect | None]] | None = None
        for effect in effects:
            self.put(effect)

    def get(self, key: str) -> Effect | None:
        """The effect of that key."""
        return self._by_key.get(key)

    def newest_first(self, step: str | None = None) -> Sequence[Effect]:
        """All of them, or a step's."""
        found = self._by_key if step is None else self._by_step.get(step, {})
        return list(reversed(found.values()))

    def put(self, effect: Effect) -> None:
        """Know it as it is now."""
        if self._replaced is not None:
            self._replaced.append((effect, self._by_key.get(effect.key)))
        self._by_key[effect.key] = effect
        self._by_step.setdefault(effect.step, {})[effect.key] = effect

    @contextmanager
    def trying(self) -> Iterator[None]:
        """What is put meanwhile may be taken back."""
        self._replaced = []
        try:
            yield
        finally:
            self._replaced = None

    def take_back(self) -> None:
        """Forget what was put since `trying` began."""
        for effect, before in reversed(self._replaced or ()):
            if before is not None:
                self._by_key[effect.key] = self._by_step[effect.step][effect.key] = before
            else:
                del self._by_key[effect.key], self._by_step[effect.step][effect.key]
