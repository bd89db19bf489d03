"""What one check came to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Result(StrEnum):
    """How a check ended."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class Finding(Struct, frozen=True):
    """Whether something works here, why that is said, and what to do where it does not.

    `needed` False: there is another way, or only some run files need it.
    """

    name: str
    needed: bool
    result: Result
    detail: str
    remedy: str = ""
