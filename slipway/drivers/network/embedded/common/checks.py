"""The checks and conversions of single values, as Neutron's API makes them.

Each takes the value and the attribute's name for the message, and gives the value as it is kept. What is of the wrong
form raises `HTTPBadRequest`; where Neutron's converters complain instead of its validators it is `InvalidInput`.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from slipway import errors
from slipway.drivers.network.embedded.common.tables import IpAddress
from slipway.model.hostname import is_dns_name

Check: TypeAlias = Callable[[Any, str], Any]
IpNetwork: TypeAlias = IPv4Network | IPv6Network

_TRUE = ("1", "t", "true", "on", "y", "yes")
_FALSE = ("0", "f", "false", "off", "n", "no")


def bad(name: str, why: str) -> errors.HTTPBadRequest:
    """The error for an attribute of the wrong form."""
    return errors.HTTPBadRequest(f"{name}: {why}")


# Texts go to terminals, C libraries and databases that take no such characters, or something else for them.
_HARMFUL = "[\x00\x1b\ud800-\udfff]"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def text(limit: int = 255) -> Check:
    """A string of at most so many characters, without NUL, ESC and halves of surrogate pairs."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise bad(name, f"{value!r} is not a string")
        if len(value) > limit:
            raise bad(name, f"{value!r} is longer than {limit} characters")
        if not value.isprintable() and re.search(_HARMFUL, value):
            raise bad(name, f"{value!r} has a character that no text may have")
        return value

    return check


_text = text()


def one_line(value: Any, name: str) -> str:
    """A text of one line, without control characters. Stricter than Neutron, which takes them."""
    given: str = _text(value, name)
    if _CONTROL.search(given):
        raise bad(name, f"{value!r} has control characters")
    return given


def printable(value: Any, name: str) -> str:
    """A name in printable characters, with a space neither first nor last (Neutron: `name_string`).

    Neutron takes none above U+FFFF.
    """
    given = one_line(value, name)
    kinds = [unicodedata.category(character) for character in given]
    if any(kind.startswith("C") or kind in ("Zl", "Zp") for kind in kinds):
        raise bad(name, f"{value!r} has characters that cannot be printed")
    if "Zs" in (kinds[:1] + kinds[-1:]):
        raise bad(name, f"{value!r} begins or ends with a space")
    return given


def boolean(value: Any, name: str) -> bool:
    """A truth value in any of the spellings that Neutron knows."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE and word not in _FALSE:
        raise errors.InvalidInput(f"{name}: {value!r} cannot be converted to boolean")
    return word in _TRUE


def non_negative(value: Any, name: str) -> int:
    """A whole number that is not below 0."""
    number = integer(value, name)
    if number < 0:
        raise bad(name, f"{number} is negative")
    return number


def integer(value: Any, name: str) -> int:
    """A whole number, or its digits."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.InvalidInput(f"{name}: {value!r} is not an integer") from error


def one_of(*values: Any) -> Check:
    """One of these."""

    def check(value: Any, name: str) -> Any:
        if value not in values:
            raise bad(name, f"{value!r} is none of {', '.join(map(repr, values))}")
        return value

    return check


def ip_version(value: Any, name: str) -> int:
    """4 or 6."""
    number: int = one_of(4, 6)(integer(value, name), name)
    return number


def uuid_text(value: Any, name: str) -> str:
    """A UUID, in its usual form."""
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError) as error:
        raise bad(name, f"{value!r} is not a valid UUID") from error


def uuid_list(value: Any, name: str) -> tuple[str, ...]:
    """A list of different UUIDs; None is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise bad(name, f"{value!r} is not a list of UUIDs")
    ids = tuple(uuid_text(item, name) for item in value)
    if len(set(ids)) != len(ids):
        raise bad(name, f"duplicate items in {', '.join(ids)}")
    return ids


def address(value: Any, name: str) -> IpAddress:
    """An IP address written in full: no short forms, spaces, prefix lengths, zones or leading zeros."""
    try:
        if isinstance(value, str) and "%" not in value:
            return _address(value)
    except ValueError:
        pass
    raise bad(name, f"{value!r} is not a valid IP address")


_address = lru_cache(1024)(ip_address)


def cidr(value: Any, name: str) -> IpNetwork:
    """An IP network with a prefix length or a netmask, with what is beyond the prefix cut off.

    Raises `InvalidInput` for what is none. Neutron fails with a TypeError for None; here it is a `HTTPBadRequest`.
    """
    if value is None:
        raise bad(name, "None is not a valid IP subnet")
    text = str(value).rstrip()
    try:
        if "%" in text:
            raise ValueError("a network has no zone")
        return ip_network(text, strict=False)
    except ValueError as error:
        raise errors.InvalidInput(f"{name}: {value!r} is not in a CIDR format") from error


def network(value: Any, name: str) -> IpNetwork:
    """An IP network with its prefix length; bits beyond the prefix are cut off."""
    if isinstance(value, str) and _NETWORK.fullmatch(value):
        try:
            return ip_network(value, strict=False)
        except ValueError:
            pass
    raise bad(name, f"{value!r} is not a valid IP subnet")


_NETWORK = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")


def dns_domain(value: Any, name: str) -> str:
    """A domain as DNS has it, with the dot at its end; empty for none."""
    given: str = _text(value, name)
    if given and not (given.endswith(".") and is_dns_name(given.lower())):
        raise bad(name, f"{value!r} is not a fully qualified domain, which ends with a dot")
    return given


def optional(check: Check) -> Check:
    """None, or what passes the check."""

    def checked(value: Any, name: str) -> Any:
        return None if value is None else check(value, name)

    return checked


def items(value: Any, name: str) -> list[Any]:
    """A list; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise bad(name, f"{value!r} is not a list")
    return list(value)


def mapping(value: Any, name: str, required: tuple[str, ...], others: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """A mapping that has these keys, and no others but those."""
    if not isinstance(value, Mapping):
        raise bad(name, f"{value!r} is not a mapping with {', '.join(required + others)}")
    if missing := [key for key in required if key not in value]:
        raise bad(name, f"{missing[0]!r} is missing in {dict(value)!r}")
    if unknown := [key for key in value if key not in required + others]:
        raise bad(name, f"unrecognized {unknown[0]!r} in {dict(value)!r}")
    return value
