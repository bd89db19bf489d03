"""What is secret in a run's inputs, and how it stays out of what is kept, told and logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from slipway.states import codec
from slipway.texts import MASK

_MARK = "\x01"
"""Stands around the name of a secret where its value was; no YAML text has it."""


class Seal:
    """The secrets of one run by their names. Where there are none nothing costs anything."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted(secrets.items(), key=lambda one: -len(one[1]))

    def seal(self, data: bytes) -> bytes:
        """Encoded content as it is kept: with the names of secrets in place of their values."""
        return self._each_text(data, self._hide) if self._secrets else data

    def unseal(self, data: bytes) -> bytes:
        """The content again."""
        return self._each_text(data, self._show) if self._secrets else data

    def mask(self, text: str) -> str:
        """A text as it is told: with `***` in place of secrets."""
        for _, value in self._secrets:
            text = text.replace(value, MASK)
        return text

    def _hide(self, text: str) -> str:
        for name, value in self._secrets:
            text = text.replace(value, f"{_MARK}{name}{_MARK}")
        return text

    def _show(self, text: str) -> str:
        if _MARK in text:
            for name, value in self._secrets:
                text = text.replace(f"{_MARK}{name}{_MARK}", value)
        return text

    @staticmethod
    def _each_text(data: bytes, change: Callable[[str], str]) -> bytes:
        return codec.encode(_changed(msgspec.json.decode(data), change))


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each text in it changed, keys of mappings too."""
    match value:
        case str():
            return change(value)
        case list():
            return [_changed(one, change) for one in value]
        case dict():
            return {change(key): _changed(one, change) for key, one in value.items()}
        case _:
            return value
