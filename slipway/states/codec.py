"""The one codec of what is recorded: JSON with types, so that tuples, enums and times come back as they were."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from slipway.errors import RecordDamaged

T = TypeVar("T")


def _plain(value: object) -> object:
    """A text that hides what it is, which msgspec takes for no text; who keeps it seals it."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"objects of type {type(value).__name__} cannot be put on record")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(value: object) -> bytes:
    """The value as JSON."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """The value again; `kind` is the type that it had. Raises `RecordDamaged` when it does not fit."""
    try:
        return cast("T", _decoder(cast("Hashable", kind)).decode(data))
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise RecordDamaged(f"what is on record as {name} cannot be read: {error}") from error
