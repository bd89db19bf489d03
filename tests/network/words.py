"""Small words that the runner of Neutron's cases describes things with."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_UUID = re.compile("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def is_address(text: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == ip
    except ValueError:
        return False


def texts(value: Any) -> Iterator[str]:
    """All texts in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts(each)


def without_id(name: str, id_: str) -> str:
    """The name of a thing; what has none is its id, and an id that is random is `<id>`."""
    return name if name != "<other>" else "<id>" if _UUID.fullmatch(id_) else id_


def plain_flag(key: str, value: Any) -> Any:
    """A filter as it is given in a URL, where truth is a word."""
    return value == "true" if key == "admin_state_up" else value


def in_order(items: list[Any]) -> list[Any]:
    """As the cases have lists that are asked for in no order."""
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=str))
