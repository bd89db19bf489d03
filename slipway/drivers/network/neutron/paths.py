"""Paths in Neutron's API."""

from __future__ import annotations

import uuid

from slipway import errors


def path(collection: str, thing_id: str, absent: type[errors.NotFound]) -> str:
    """The path of one thing. What is no UUID is nothing's id, and must not become another path."""
    try:
        return f"/{collection}/{uuid.UUID(thing_id)}"
    except ValueError as error:
        raise absent(f"{collection.removesuffix('s').replace('-', ' ')} {thing_id} could not be found") from error
