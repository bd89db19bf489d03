"""Random attributes of what the sequences make and change; the same seed, the same attributes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from bench import drawn_values as values
from bench.drawn_values import NOBODY, Choice, Cidr

ODD = 0.12
"""How often an attribute that is given has one of its odd values."""


@dataclass
class Site:
    """What a sequence has asked for so far; whether it was granted is not known here."""

    networks: list[str] = field(default_factory=list)
    subnets: list[tuple[str, str, Cidr]] = field(default_factory=list)
    ports: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    made: int = 0

    def name(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"


class Bodies:
    """Draws the attributes that a request names, each with a probability."""

    def __init__(self, rng: random.Random, site: Site) -> None:
        self.rng = rng
        self.site = site

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def some(self, **choices: tuple[float, Choice]) -> dict[str, Any]:
        """Each attribute with its probability, and one of its values."""
        return {
            name.replace("__", ":"): self.one(choice)
            for name, (probability, choice) in choices.items()
            if self.chance(probability)
        }

    def one(self, choice: Choice) -> Any:
        good, odd = choice
        return self.rng.choice(odd if odd and self.chance(ODD) else good)

    def wrong(self, body: dict[str, Any]) -> dict[str, Any]:
        """Now and then with an attribute that cannot be given."""
        return body | self.some(**{name: (0.005, (wrong, [])) for name, wrong in values.UNKNOWN.items()})

    # --- networks and subnets -------------------------------------------------------------------------------------

    def network(self, probability: float, shared: list[Any]) -> dict[str, Any]:
        return self.some(
            name=(probability, values.NAMES),
            description=(probability / 2, values.TEXTS),
            port_security_enabled=(1.5 * probability, values.BOOLEANS),
            shared=(2 * probability, (shared, ["x"])),
            router__external=(probability / 2, values.BOOLEANS),
            admin_state_up=(probability, values.BOOLEANS),
            mtu=(probability, values.MTUS),
        )

    def segment(self) -> dict[str, Any]:
        return self.one(values.SEGMENTS) if self.chance(0.15) else {}

    def subnet(self, cidr: Cidr, probability: float) -> dict[str, Any]:
        pools = [[self.pool(cidr)], [self.pool(cidr), self.pool(cidr)], []]
        return self.some(
            gateway_ip=(probability, ([None, self.address(cidr), self.address(cidr)], [])),
            allocation_pools=(2 * probability, (pools, [[{"start": "x", "end": "y"}], None])),
            enable_dhcp=(probability, values.BOOLEANS),
            dns_nameservers=(probability / 2, values.SERVERS),
            host_routes=(probability / 2, values.ROUTES),
            service_types=(probability / 2, values.SERVICE_TYPES),
            name=(probability / 2, values.NAMES),
            description=(probability / 4, values.TEXTS),
        )

    def pool(self, cidr: Cidr) -> dict[str, str]:
        if self.chance(0.2):
            return {"start": self.address(cidr), "end": self.address(cidr)}
        size = cidr.num_addresses
        places = self.rng.sample([2, 3, 4, 5, 6, 10, size - 2], 2)
        first, last = sorted(max(0, min(place, size - 1)) for place in places)
        return {"start": str(cidr.network_address + first), "end": str(cidr.network_address + last)}

    def address(self, cidr: Cidr) -> str:
        if self.chance(0.03):
            return self.rng.choice(values.ODD_ADDRESSES)
        size = cidr.num_addresses
        place = self.rng.choice([0, 1, 2, 3, 3, 4, 5, 6, 10, 20, size - 2, size - 1, size])
        return str(cidr.network_address + min(place, size))

    # --- ports ----------------------------------------------------------------------------------------------------

    def port(self, network: str, probability: float) -> dict[str, Any]:
        return self.some(
            fixed_ips=(2.5 * probability, ([self._fixed_ips(network)], [None, "10.0.0.3"])),
            mac_address=(probability, values.MACS),
            device_id=(probability, values.DEVICES),
            device_owner=(1.5 * probability, values.OWNERS),
            name=(probability, values.NAMES),
            admin_state_up=(probability / 2, values.BOOLEANS),
            port_security_enabled=(probability, values.BOOLEANS),
            security_groups=(probability, self._groups()),
            allowed_address_pairs=(probability, self._several(values.PAIRS, values.MANY_PAIRS)),
            extra_dhcp_opts=(probability, self._several(values.OPTIONS, "x")),
            binding__host_id=(probability, values.HOSTS),
            binding__vnic_type=(probability / 3, values.VNIC_TYPES),
            binding__profile=(probability / 3, values.PROFILES),
            description=(probability / 3, values.TEXTS),
        )

    def _fixed_ips(self, network: str) -> list[Any]:
        entries: list[Any] = []
        for _ in range(self.rng.choice([0, 1, 1, 1, 1, 2, 2, 3, 6])):
            name, cidr = self._subnet_of(network)
            forms: list[dict[str, Any]] = [{"subnet_id": f"${name}"}, {"ip_address": self.address(cidr)}]
            forms += [forms[0] | forms[1], forms[0], forms[1]]
            entries.append(self.rng.choice(forms))
        if self.chance(0.03):
            entries.append(self.rng.choice([*values.ODD_ENTRIES, *entries]))
        return entries

    def _subnet_of(self, network: str) -> tuple[str, Cidr]:
        own = [each for each in self.site.subnets if "$" + each[1] == network]
        name, _, cidr = self.rng.choice(own if own and self.chance(0.95) else self.site.subnets)
        return name, cidr

    def _groups(self) -> Choice:
        groups = [f"${name}" for name in self.site.groups]
        good: list[Any] = [[], [self.rng.choice(groups)] if groups else [], groups]
        return good, [None, groups * 2, [NOBODY], ["x"], "x"]

    def _several(self, items: Choice, too_many: Any) -> Choice:
        """One or two of the items, or none."""
        return [[self.one(items)], [self.one(items)], self.rng.sample(items[0], 2), []], [None, too_many]

    # --- security groups ------------------------------------------------------------------------------------------

    def rule(self, groups: list[str]) -> dict[str, Any]:
        body = {"security_group_id": self.rng.choice(groups), "direction": self.one((["ingress", "egress"], ["x"]))}
        body |= self.some(
            ethertype=(0.4, values.ETHERTYPES),
            protocol=(0.7, values.PROTOCOLS),
            remote_ip_prefix=(0.4, values.PREFIXES),
            remote_group_id=(0.1, (groups, [NOBODY])),
            description=(0.1, values.TEXTS),
        )
        if self.chance(0.5):
            low, high = self.one(values.PORT_NUMBERS), self.one(values.PORT_NUMBERS)
            body |= {"port_range_min": low, "port_range_max": low if self.chance(0.5) else high}
        return body
