"""What comes in is checked before it is on record: by the same rules from a run file and from a program."""

from __future__ import annotations

from slipway.checks.values import check, mistakes_of
from slipway.checks.words import Mistake

__all__ = ["Mistake", "check", "mistakes_of"]
