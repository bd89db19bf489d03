"""A breach of an invariant."""

from __future__ import annotations

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One breach of an invariant (A1 to A11), in words."""

    invariant: str
    text: str

    def __str__(self) -> str:
        """`A2: ...`."""
        return f"{self.invariant}: {self.text}"
