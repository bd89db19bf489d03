"""What is secret in a run's inputs, and how it stays out of what is kept, told and logged."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from slipway import errors
from slipway.states import codec
from slipway.texts import MASK

_MARK = "\x01"
"""Stands around the name of a secret where its value was; no YAML text has it."""
_ENCODED_MARK = b"\\u0001"


_NAMES = re.compile(f"{_MARK}([^{_MARK}]+){_MARK}")


def sealed_in(value: Any) -> frozenset[str]:
    """The names of the secrets that are kept in a value, or its encoding, by their names alone."""
    return frozenset(_sealed(msgspec.json.decode(value) if isinstance(value, bytes) else value))


def has_sealed(data: bytes) -> bool:
    """Whether there may be any in an encoding: far quicker than to look for them."""
    return _ENCODED_MARK in data


def _sealed(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield from _NAMES.findall(value)
        case list() | tuple():
            for one in value:
                yield from _sealed(one)
        case dict():
            yield from _sealed([*value, *value.values()])
        case msgspec.Struct():
            yield from _sealed([getattr(value, name) for name in value.__struct_fields__])


def opened(given: dict[str, Any]) -> dict[str, Any]:
    """What a task is given, as it is. Raises `SecretGone` where a secret in it is not to be had any more."""
    if gone := sealed_in(given):
        raise errors.SecretGone(f"{gone_secrets(gone)}: undo the run once more with what it was")
    return given


def gone_secrets(names: Collection[str]) -> str:
    """That such secrets are not on record any more, in words."""
    one = len(names) == 1
    listed = " and ".join(sorted(names))
    return f"the secret{'' if one else 's'} {listed} {'is' if one else 'are'} kept no longer than a run goes on"


class Seal:
    """The secrets of one run by their names. Where there are none nothing costs anything."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted(secrets.items(), key=lambda one: -len(one[1]))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._secrets)

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
