"""The names that a run file declares, and whether what refers to one finds it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from slipway.model.request import DEFAULT_ZONE
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECTIONS = {
    "flavor": "flavors",
    "image": "images",
    "server group": "server_groups",
    "host": "hosts",
    "security group": "security_groups",
    "network": "networks",
    "instance": "instances",
    "keypair": "keypairs",
}
_MAY_BE_IDS = ("network", "port", "security group")


class References:
    """All declared names by kind, taken before anything is dropped: a wrong flavor is still a flavor of that name.

    What could not be read at all counts as declaring everything.
    """

    def __init__(self, tree: dict[str, Any], stored_images: Callable[[], Iterable[str]] = tuple) -> None:
        """`stored_images`: the names of images that need no entry in the file."""
        self._stored_images = stored_images
        self._names: dict[str, dict[str, None] | None] = {}
        for kind, section in _SECTIONS.items():
            declared = tree.get(section, {})
            self._names[kind] = dict.fromkeys(declared) if isinstance(declared, dict) else None
        self._ports = _ports(tree)
        self._names["port"] = None if self._ports is None else dict.fromkeys(self._ports)
        self._names["zone"] = _zones(tree)
        if (groups := self._names["security group"]) is not None:
            groups["default"] = None  # Neutron: every project has it.

    def check(self, document: Document, path: NodePath, kind: str, name: str | None) -> None:
        """Note a reference to something of which the file knows nothing; networks and the like may be ids (UUIDs)."""
        known = self._names[kind]
        if known is None or name is None or (kind in _MAY_BE_IDS and _UUID.fullmatch(name)):
            return
        if name not in known:
            stored = tuple(self._stored_images()) if kind == "image" else ()
            if name not in stored:
                document.problem(path, f"unknown {kind} {quoted(name)}", wrong=name, known=(*known, *stored))
        elif kind == "port" and self._ports and self._ports[name] > 1:
            document.problem(path, f"port {quoted(name)} is in {self._ports[name]} networks: give them different names")


def _zones(tree: dict[str, Any]) -> dict[str, None] | None:
    """The zones of the file's hosts. A file without hosts builds on those that are on record, and knows no zones."""
    hosts = tree.get("hosts", {})
    if not isinstance(hosts, dict) or not hosts:
        return None
    said = (host.get("zone") if isinstance(host, dict) else None for host in hosts.values())
    return dict.fromkeys(zone if isinstance(zone, str) else DEFAULT_ZONE for zone in said)


def _ports(tree: dict[str, Any]) -> Counter[str] | None:
    networks = tree.get("networks", {})
    if not isinstance(networks, dict):
        return None
    sections = [network.get("ports", {}) if isinstance(network, dict) else None for network in networks.values()]
    if not all(isinstance(ports, dict) for ports in sections):
        return None
    return Counter(port for ports in sections for port in ports or ())
