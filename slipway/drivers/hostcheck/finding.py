"""What one check came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something works here, why that is said, and what to do where it does not.

    `needed` False: there is another way, or only some run files need it.
    """

    name: str
    needed: bool
    result: Result
    detail: str
    remedy: str = ""
