"""Anti-spoofing and security groups at the taps of one host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from slipway.drivers.wiring.linuxbridge import nft
from slipway.drivers.wiring.linuxbridge.filtered import FilteredPort, FilteredPorts, Place, filtered_port
from slipway.drivers.wiring.linuxbridge.namespace import exists, inside
from slipway.drivers.wiring.linuxbridge.ruleset import Tracking, ruleset
from slipway.errors import WiringError
from slipway.model.machine import Vif, Wired
from slipway.model.network import SecurityGroupRule
from slipway.model.request import Host

_EGRESS, _INGRESS = "bridge chain egress-", "bridge chain ingress-"


class Filters:
    """The filters of one host, in nftables' tables `slipway-<8 of the installation's id>`; nothing else is touched.

    What is wanted is in files, one a port, and the kernel has what they say: whoever is killed between the two is
    mended by the next one. A port that is in a group matters to the hosts whose rules name it, so those of all hosts
    of this machine are in one place. Safe among threads and processes. All raise `WiringError`.
    """

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", installation):
            raise WiringError(f"{host.name}: {installation!r} cannot be part of a table's name")
        self._host = host
        self._ports = FilteredPorts(state)
        self._table = f"slipway-{installation[:8]}"

    def apply(self, instance_id: str, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Let through at the VIF's tap what its addresses, its pairs and the rules allow; there already: replaced.

        A port without port security is let alone, and listed. The VIF's bridge must be there.
        """
        port = filtered_port(self._host, vif, rules)
        # Only where it is another port's may the namespace be gone.
        with inside(port.netns):
            pass
        if _tracking([port]) is Tracking.IP:
            nft.show_to_ip(port.netns, port.bridge)
        with self._ports.locked():
            before = self._ports.read()
            self._ports.write(port)
            self._update({**before, port.place: port}, [before.get(port.place), port])

    def remove(self, port_id: str) -> None:
        """Take the port's filter away, and the port out of the groups of all others.

        Absent: nothing happens. Where the port is on another host as well, it stays there.
        """
        place = (port_id, self._host.name)
        with self._ports.locked():
            before = self._ports.read()
            self._ports.delete(place)
            self._update({one: port for one, port in before.items() if one != place}, [before.get(place)])

    def refresh(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> None:
        """Replace the port's filter where there is one on this host by what VIF and rules say now."""
        port = filtered_port(self._host, vif, rules)
        with self._ports.locked():
            before = self._ports.read()
            old = before.get(port.place)
            if old is not None and old != port:
                self._ports.write(port)
                self._update({**before, port.place: port}, [old, port])

    def is_current(self, vif: Vif, rules: Sequence[SecurityGroupRule]) -> bool:
        """Whether the port's filter was made of what VIF and rules say; also where there is none."""
        port = filtered_port(self._host, vif, rules)
        with self._ports.locked():
            return self._ports.read().get(port.place, port) == port

    def list(self) -> Sequence[Wired]:
        """All ports that have their chains in the kernel, those left out that another host has on file.

        Wrong with one is that the kernel has other rules for it, or for all ports, than the files say.
        """
        netns = self._host.netns
        if not exists(netns):
            return ()
        with self._ports.locked():
            ports = self._ports.read()
            there = nft.statements(netns, self._table)
            changed = there ^ nft.meaning(self._ruleset(netns, ports), self._table)
        chains = {line.partition(": ")[0] for line in there}
        found = {chain.removeprefix(_EGRESS) for chain in chains if chain.startswith(_EGRESS)}
        ours = {name for name, host in ports if host == self._host.name}
        elsewhere = {name for name, _ in ports} - ours
        here = sorted(name for name in found - elsewhere if f"{_INGRESS}{name}" in chains)
        others = [line for line in changed if not any(name in line for name in {*found, *ours, *elsewhere})]
        return [Wired(name, _fault([*others, *(line for line in changed if name in line)])) for name in here]

    def _update(self, ports: Mapping[Place, FilteredPort], changed: Iterable[FilteredPort | None]) -> None:
        """Bring this host up to date, and all whose rules name a group of a port that changed."""
        of = [port for port in changed if port is not None]
        groups = {group for port in of for group in port.groups}
        namespaces = {self._host.netns, *(port.netns for port in of)}
        namespaces |= {port.netns for port in ports.values() if port.remote_groups & groups}
        for netns in namespaces:
            if exists(netns):
                nft.load(netns, self._ruleset(netns, ports))

    def _ruleset(self, netns: str | None, ports: Mapping[Place, FilteredPort]) -> str:
        here = [port for port in ports.values() if port.netns == netns]
        return ruleset(self._table, here, list(ports.values()), _tracking(here))


def _fault(changed: Iterable[str]) -> str:
    where = sorted({line.partition(": ")[0] for line in changed})
    return f"the kernel has other rules than were applied: {', '.join(where)}" if where else ""


def _tracking(ports: Iterable[FilteredPort]) -> Tracking | None:
    """Ports without port security need none, so they are not refused where the kernel has none."""
    return next((nft.tracking(port.netns) for port in ports if port.port_security), None)
