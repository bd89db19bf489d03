"""Neutron's errors in our own classes: by the type in the answer's body, and by the HTTP status where that is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway import errors

_BY_STATUS: Mapping[int, type[errors.NetworkError]] = {
    401: errors.Forbidden,
    403: errors.Forbidden,
    404: errors.NotFound,
    408: errors.TransientNetworkError,
    409: errors.Conflict,
    413: errors.OverQuota,
    425: errors.TransientNetworkError,
    429: errors.TransientNetworkError,
    501: errors.HTTPNotImplemented,
}


def translated(what: str, status: int, body: Any, absent: type[errors.NotFound] | None) -> errors.NetworkError:
    """Our error for an answer of this HTTP status. `absent`: what a 404 means, where Neutron itself gave it.

    A 404 of anybody else (a proxy, a wrong address) says nothing about the thing that was asked for.
    """
    said = body.get("NeutronError") if isinstance(body, dict) else None
    if not isinstance(said, dict):
        text = f": {said}" if said else ""
        return _of_status(status)(f"{what}: HTTP status {status}{text}, without an error of Neutron's")
    text = " ".join(str(said.get("message", "")).split()) or f"HTTP status {status}"
    kind = getattr(errors, str(said.get("type", "")), None)
    if isinstance(kind, type) and issubclass(kind, errors.NetworkError):
        return kind(f"{what}: {text}")
    if status == 404 and absent is not None:
        return absent(f"{what}: {text}")
    return _of_status(status)(f"{what}: {text} ({said.get('type')})")


def _of_status(status: int) -> type[errors.NetworkError]:
    other = errors.TransientNetworkError if status >= 500 or status < 400 else errors.BadRequest
    return _BY_STATUS.get(status, other)
