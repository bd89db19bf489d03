"""An instance's name as its guest and the network service may have it."""

from __future__ import annotations

import re

HOST_NAME_MAX = 64
"""Characters of a host's name (Linux)."""

_NO_HOST_NAME = re.compile("[^a-z0-9]+")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def host_name(name: str) -> str:
    """The name as a host may have it: systemd refuses, say, `db_1`, and a guest would keep the name of its image."""
    labels = (_NO_HOST_NAME.sub("-", label).strip("-") for label in name.lower().split("."))
    return ".".join(filter(None, labels))


def dns_name(name: str) -> str:
    """The host's name as a port's `dns_name`; empty where it is none, as too long a one or `10.0`."""
    found = host_name(name)
    return found if is_dns_name(found) and len(found) <= HOST_NAME_MAX else ""


def is_dns_name(text: str) -> bool:
    """Whether it is a name or a full name as DNS has it, in lower case (Neutron: `dns_name`)."""
    labels = text.removesuffix(".").split(".")
    return all(map(_LABEL.fullmatch, labels)) and (len(labels) == 1 or not labels[-1].isdigit())
