"""An instance's name as its guest and the network service may have it."""

from __future__ import annotations

import re

from slipway.model.network import Network, Port

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


def domain_of(network: Network) -> str:
    """In which domain the network's plain names are; "": a name that says none, such as `10.0`, and no `dns_domain`."""
    return next(iter(_domains(network)), "")


def names_of(port: Port, network: Network) -> tuple[str, ...]:
    """By which names the port's addresses are known on its network; addresses are said to be the first.

    What has dots is known below the network's domains alone: on a shared network nobody is to be `www.example.org`.
    """
    own, domains = port.dns_name.lower(), _domains(network)
    if not own:
        return ()
    if own.endswith("."):
        full = [own[:-1]] if any(own[:-1].endswith(f".{domain}") for domain in domains) else []
    else:
        full = [*(f"{own}.{domain}" for domain in domains), *([own] if "." not in own else ())]
    return tuple(name for name in full if len(name) <= _NAME_MAX)


def _domains(network: Network) -> tuple[str, ...]:
    """The network's `dns_domain`, and its name."""
    named = (network.dns_domain.lower().removesuffix("."), host_name(network.name))
    return tuple(dict.fromkeys(name for name in named if name and is_dns_name(name) and len(name) <= _NAME_MAX))


_NAME_MAX = 253
"""Characters of a full name (RFC 1035)."""
