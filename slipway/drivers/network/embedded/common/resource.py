"""How the attributes of a request are checked: which there may be, their defaults, and each one's own check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.common.checks import Check
from slipway.model.network import Context


class Unset:
    """The value of an attribute that was not given and has no default."""

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset()
REQUIRED: Final = Unset()


class Attribute(Struct, frozen=True):
    """One attribute: its check, its default, whether it may be changed later, whether `None` means "not given".

    `post`: whether it may be given to a new thing.
    """

    check: Check
    default: Any = UNSET
    put: bool = True
    post: bool = True
    none_is_unset: bool = False


class Resource:
    """The attributes of one kind of thing. `read_only` ones are known, but cannot be given."""

    def __init__(self, name: str, attributes: Mapping[str, Attribute], read_only: tuple[str, ...] = ()) -> None:
        self.name = name
        self.attributes = dict(attributes)
        self.read_only = frozenset(read_only)
        self._not_at_first = self.read_only | {key for key, each in attributes.items() if not each.post}
        self._defaults = {key: each.default for key, each in attributes.items() if each.default is not REQUIRED}
        self._required = tuple(key for key, each in attributes.items() if each.default is REQUIRED)

    def for_create(self, context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
        """All attributes of a new one: those given, checked, and the defaults of the others.

        It is the context's project's, unless an administrator says another. Raises `HTTPBadRequest` or `InvalidInput`.
        """
        if not isinstance(given, Mapping):
            raise errors.HTTPBadRequest(f"{self.name}: {given!r} is not a mapping of attributes")
        if not context.is_admin and (given.get("project_id") or context.project_id) != context.project_id:
            raise errors.HTTPBadRequest(f"{self.name}: project_id may name another project for administrators only")
        self._refuse_unknown(given)
        for key in self._required:
            if key not in given:
                raise errors.HTTPBadRequest(f"{self.name}: required attribute {key!r} is not given")
        if forbidden := self._not_at_first.intersection(given):
            raise errors.HTTPBadRequest(f"{self.name}: attribute {min(forbidden)!r} cannot be given")
        unset = {key for key, value in given.items() if value is None and self.attributes[key].none_is_unset}
        values = self._defaults | self._checked({key: value for key, value in given.items() if key not in unset})
        values["project_id"] = values["project_id"] or context.project_id
        return values

    def for_update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes to change, checked. Raises `HTTPBadRequest` or `InvalidInput`."""
        self._refuse_unknown(given)
        for key in given:
            if key in self.read_only or not self.attributes[key].put:
                raise errors.HTTPBadRequest(f"{self.name}: attribute {key!r} cannot be changed")
        return self._checked(given)

    def _refuse_unknown(self, given: Mapping[str, Any]) -> None:
        if unknown := [key for key in given if key not in self.attributes and key not in self.read_only]:
            raise errors.HTTPBadRequest(f"{self.name}: unrecognized attribute {', '.join(map(repr, unknown))}")

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        checked = {}
        for key, each in self.attributes.items():
            if key in given:
                checked[key] = each.check(given[key], key)
        return checked
