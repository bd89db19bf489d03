"""Random sequences of network requests, in the form of the cases in `tests/network`; the same seed, the same sequence.

What is drawn is meant to collide: few MACs, small pools, addresses at the ends of subnets, other projects' things.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from bench import drawn_values as values
from bench.drawn_values import NOBODY, Cidr

Op = dict[str, Any]


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


class Sequences:
    """Draws one sequence for one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._site = Site()

    def draw(self) -> list[Op]:
        ops = [self._network(), self._subnet()]
        verbs: dict[Callable[[], Op | None], int] = {
            self._subnet: 4,
            self._port: 14,
            self._change_port: 10,
            self._bind: 2,
            self._delete_port: 4,
            self._get: 2,
            self._list: 3,
            self._bulk: 1,
            self._change_subnet: 3,
            self._delete_subnet: 1,
            self._network: 2,
            self._change_network: 1,
            self._delete_network: 1,
            self._group: 1,
            self._change_group: 1,
            self._rule: 2,
            self._delete: 1,
            self._quota: 1,
        }
        while len(ops) < self._rng.randint(5, 16):
            verb = self._rng.choices(list(verbs), list(verbs.values()))[0]
            op = verb()
            if op is not None:
                ops.append(self._asker(op))
        return ops

    # --- what is drawn from ---------------------------------------------------------------------------------------

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _some(self, **choices: tuple[float, Any]) -> dict[str, Any]:
        """Each attribute with its probability, and one of its values."""
        return {name.replace("__", ":"): self._rng.choice(v) for name, (p, v) in choices.items() if self._chance(p)}

    def _asker(self, op: Op) -> Op:
        if op["op"] != "set_quota" and self._chance(0.15):
            op["member"] = True
            if self._chance(0.3):
                op["project"] = "other"
        return op

    def _a_network(self) -> str:
        return "$" + self._rng.choice(self._site.networks) if self._chance(0.98) else NOBODY

    def _subnet_of(self, network: str) -> tuple[str, str, Cidr]:
        own = [each for each in self._site.subnets if "$" + each[1] == network]
        return self._rng.choice(own if own and self._chance(0.95) else self._site.subnets)

    def _address(self, cidr: Cidr) -> str:
        if self._chance(0.03):
            return self._rng.choice(values.ODD_ADDRESSES)
        size = cidr.num_addresses
        place = self._rng.choice([0, 1, 2, 3, 3, 4, 5, 6, 10, 20, size - 2, size - 1, size])
        return str(cidr.network_address + min(place, size))

    # --- networks and subnets -------------------------------------------------------------------------------------

    def _network(self) -> Op:
        name = self._site.name("n")
        self._site.networks.append(name)
        body = {"name": name} | self._of_network(0.08, shared=[True])
        if self._chance(0.1):
            body |= self._rng.choice(values.SEGMENTS)
        return {"op": "create_network", "as": name, "body": self._wrong(body)}

    def _of_network(self, probability: float, shared: list[Any]) -> dict[str, Any]:
        return self._some(
            name=(probability, [*values.NAMES, "new"]),
            description=(probability / 2, ["text", values.LONG]),
            port_security_enabled=(1.5 * probability, values.BOOLEANS),
            shared=(2 * probability, shared),
            router__external=(probability / 2, [True, False]),
            admin_state_up=(probability, values.BOOLEANS),
            mtu=(probability, [0, 60, 67, 1279, 1280, 1400, 1450, 1501, 9000, -1, "1400", "x", None]),
        )

    def _change_network(self) -> Op:
        body = self._of_network(0.25, shared=[True, False])
        if self._chance(0.1):
            body |= self._rng.choice(values.SEGMENTS)
        return {"op": "update_network", "id": self._a_network(), "body": self._wrong(body) or {"name": "new"}}

    def _wrong(self, body: dict[str, Any]) -> dict[str, Any]:
        """Now and then with an attribute that cannot be given."""
        if self._chance(0.97):
            return body
        name = self._rng.choice(list(values.UNKNOWN))
        return body | {name: self._rng.choice(values.UNKNOWN[name])}

    def _delete_network(self) -> Op:
        return {"op": "delete_network", "id": self._a_network()}

    def _subnet(self) -> Op:
        rng, site = self._rng, self._site
        number = rng.choice([0, len(site.subnets), len(site.subnets)])
        v4, v6 = f"10.0.{number}.0", f"2001:db8:{number}::"
        text = rng.choice([f"{v4}/24", f"{v4}/29", f"{v4}/29", f"{v4}/30", f"{v6}/64", f"{v6}/64", f"{v6}/64"])
        if self._chance(0.1):
            small = [f"{v4}/31", f"{v4}/32", f"{v6}/126", f"{v6}/127", f"{v6}/128", f"{v6}/112"]
            text = rng.choice([*small, *values.ODD_CIDRS])
        cidr = ip_network("10.4.0.0/16" if text == "10.4/16" else text, strict=False)
        name, network = site.name("s"), self._a_network()
        site.subnets.append((name, network[1:], cidr))
        body: dict[str, Any] = {"network_id": network, "cidr": text, "ip_version": cidr.version}
        if cidr.version == 6 and self._chance(0.75):
            mode = rng.choice(values.MODES)
            body |= {"ipv6_ra_mode": mode, "ipv6_address_mode": mode} if self._chance(0.8) else {"ipv6_ra_mode": mode}
        body |= self._of_subnet(cidr, 0.15)
        body |= self._some(
            ip_version=(0.02, [4, 6, 5, "4", "x", None]),
            ipv6_ra_mode=(0.02, [*values.MODES, "x"]),
            ipv6_address_mode=(0.03, [*values.MODES, "x"]),
            cidr=(0.03, values.BAD_CIDRS),
        )
        if self._chance(0.01):
            del body[rng.choice(["network_id", "ip_version", "cidr"])]
        return {"op": "create_subnet", "as": name, "body": self._wrong(body)}

    def _of_subnet(self, cidr: Cidr, probability: float) -> dict[str, Any]:
        pools = [[self._pool(cidr)], [self._pool(cidr), self._pool(cidr)], [], [{"start": "x", "end": "y"}], None]
        return self._some(
            gateway_ip=(probability, [None, self._address(cidr), self._address(cidr)]),
            allocation_pools=(2 * probability, pools),
            enable_dhcp=(probability, [False, True, "x"]),
            dns_nameservers=(probability / 2, values.SERVERS),
            host_routes=(probability / 2, values.ROUTES),
            service_types=(probability / 2, values.SERVICE_TYPES),
            name=(probability / 2, values.NAMES),
            description=(probability / 4, ["text", values.LONG]),
        )

    def _pool(self, cidr: Cidr) -> dict[str, str]:
        return {"start": self._address(cidr), "end": self._address(cidr)}

    def _change_subnet(self) -> Op:
        name, _, cidr = self._rng.choice(self._site.subnets)
        body = self._of_subnet(cidr, 0.35) | self._some(
            cidr=(0.02, ["10.0.0.0/25"]), ip_version=(0.02, [4]), ipv6_ra_mode=(0.02, values.MODES)
        )
        return {"op": "update_subnet", "id": f"${name}", "body": self._wrong(body)}

    def _delete_subnet(self) -> Op:
        return {"op": "delete_subnet", "id": "$" + self._rng.choice(self._site.subnets)[0]}

    # --- ports ----------------------------------------------------------------------------------------------------

    def _fixed_ips(self, network: str) -> list[dict[str, Any]]:
        entries = []
        for _ in range(self._rng.choice([0, 1, 1, 1, 1, 2, 2, 3, 6])):
            name, _, cidr = self._subnet_of(network)
            forms: list[dict[str, Any]] = [{"subnet_id": f"${name}"}, {"ip_address": self._address(cidr)}]
            forms += [forms[0] | forms[1], forms[0], forms[1]]
            entries.append(self._rng.choice(forms))
        if self._chance(0.03):
            odd: list[Any] = [{}, {"subnet_id": NOBODY}, {"subnet_id": None}, {"ip_address": None}, {"foo": 1}, "x"]
            entries.append(self._rng.choice([*odd, {"subnet_id": "x"}, *entries]))
        return entries

    def _of_port(self, network: str, probability: float) -> dict[str, Any]:
        rng, groups = self._rng, [f"${name}" for name in self._site.groups]
        return self._some(
            fixed_ips=(2.5 * probability, [self._fixed_ips(network)]),
            mac_address=(probability, values.MACS if self._chance(0.8) else values.ODD_MACS),
            device_id=(probability, values.DEVICES),
            device_owner=(1.5 * probability, values.OWNERS),
            name=(probability, values.NAMES),
            admin_state_up=(probability / 2, values.BOOLEANS),
            port_security_enabled=(probability, [True, False] if self._chance(0.9) else values.BOOLEANS),
            security_groups=(
                probability,
                [[], [rng.choice(groups)] if groups else None, groups, groups * 2, [NOBODY], ["x"], "x"],
            ),
            allowed_address_pairs=(
                probability,
                [[rng.choice(values.PAIRS)], rng.sample(values.PAIRS[:4], 2), [], None, values.MANY_PAIRS],
            ),
            extra_dhcp_opts=(probability, [[rng.choice(values.OPTIONS)], rng.sample(values.OPTIONS[1:4], 2), [], None]),
            binding__host_id=(probability, values.HOSTS),
            binding__vnic_type=(probability / 3, values.VNIC_TYPES),
            binding__profile=(probability / 3, values.PROFILES),
            description=(probability / 3, ["text", values.LONG]),
        )

    def _port(self) -> Op:
        name, network = self._site.name("p"), self._a_network()
        self._site.ports.append((name, network))
        body = {"network_id": network} | self._of_port(network, 0.2)
        return {"op": "create_port", "as": name, "body": self._wrong(body)}

    def _bulk(self) -> Op:
        network = self._a_network()
        # Neutron's answer has another order than the request: the names tell which is which.
        bodies = [
            {"network_id": network} | self._of_port(network, 0.05) | {"name": f"b{number}"}
            for number in range(self._rng.randint(1, 4))
        ]
        return {"op": "bulk_create_port", "bodies": bodies}

    def _a_port(self) -> tuple[str, str] | None:
        return self._rng.choice(self._site.ports) if self._site.ports else None

    def _change_port(self) -> Op | None:
        if (port := self._a_port()) is None:
            return None
        return {"op": "update_port", "id": f"${port[0]}", "body": self._wrong(self._of_port(port[1], 0.25))}

    def _bind(self) -> Op | None:
        if (port := self._a_port()) is None:
            return None
        body = {"binding:host_id": self._rng.choice(["host1", "host1", "nowhere", ""]), "device_owner": "compute:nova"}
        return {"op": "update_port", "id": f"${port[0]}", "body": body | {"device_id": "vm"}}

    def _delete_port(self) -> Op | None:
        port = self._a_port()
        return port and {"op": "delete_port", "id": f"${port[0]}"}

    # --- the rest -------------------------------------------------------------------------------------------------

    def _group(self) -> Op:
        name = self._site.name("g")
        self._site.groups.append(name)
        body = {"name": self._rng.choice(["web", "web", "default", "", values.LONG])}
        return {"op": "create_security_group", "as": name, "body": self._wrong(body)}

    def _change_group(self) -> Op | None:
        if not self._site.groups:
            return None
        body = self._some(name=(0.7, ["new", "default", "", values.LONG]), description=(0.5, ["text"]))
        return {"op": "update_security_group", "id": "$" + self._rng.choice(self._site.groups), "body": body}

    def _rule(self) -> Op | None:
        if not self._site.groups:
            return None
        name = self._site.name("r")
        self._site.rules.append(name)
        groups = ["$" + each for each in self._site.groups]
        body = {"security_group_id": self._rng.choice(groups), "direction": self._rng.choice(["ingress", "egress"])}
        body |= self._some(
            ethertype=(0.4, ["IPv4", "IPv6", "ipv6", "x"]),
            protocol=(0.7, values.PROTOCOLS[:6] if self._chance(0.6) else values.PROTOCOLS),
            remote_ip_prefix=(0.4, values.PREFIXES),
            remote_group_id=(0.1, [*groups, NOBODY]),
            direction=(0.03, ["x"]),
            description=(0.1, ["text"]),
        )
        if self._chance(0.5):
            low, high = (self._rng.choice(values.PORT_NUMBERS) for _ in range(2))
            body |= {"port_range_min": low, "port_range_max": low if self._chance(0.4) else high}
        return {"op": "create_security_group_rule", "as": name, "body": body}

    def _things(self) -> dict[str, list[str]]:
        """The names of what may be there, by kind."""
        site = self._site
        return {
            "network": site.networks,
            "subnet": [name for name, _, _ in site.subnets],
            "port": [name for name, _ in site.ports],
            "security_group": site.groups,
            "security_group_rule": site.rules,
        }

    def _one(self, *kinds: str) -> tuple[str, str]:
        """A kind, and the reference to one of it that may be there."""
        kind = self._rng.choice(kinds)
        names = self._things()[kind]
        return kind, "$" + self._rng.choice(names) if names and self._chance(0.95) else NOBODY

    def _get(self) -> Op:
        kind, thing = self._one(*self._things())
        return {"op": f"get_{kind}", "id": thing}

    def _delete(self) -> Op:
        kind, thing = self._one("security_group", "security_group_rule")
        return {"op": f"delete_{kind}", "id": thing}

    def _list(self) -> Op:
        network = self._a_network()
        kind, filters = self._rng.choice(
            [
                ("port", {"network_id": network} | self._some(device_id=(0.3, ["vm"]), name=(0.3, ["web", ""]))),
                ("port", {"network_id": network} | self._some(mac_address=(0.5, values.MACS), status=(0.3, ["DOWN"]))),
                ("port", {"network_id": network} | self._some(device_owner=(0.9, values.OWNERS[:3]))),
                ("subnet", {"network_id": network} | self._some(ip_version=(0.5, [4, 6]), cidr=(0.2, ["10.0.0.0/24"]))),
                ("subnet", {"network_id": network} | self._some(enable_dhcp=(0.5, [True, False]))),
                ("network", {"id": network} | self._some(shared=(0.3, [True]), admin_state_up=(0.3, [True, "x"]))),
                ("security_group_rule", {"security_group_id": self._one("security_group")[1]}),
            ]
        )
        filters |= self._some(limit=(0.1, [0, 1, 2, -1, "x"]), foo=(0.03, ["x"]))
        if self._chance(0.1):
            filters |= {"sort_key": self._rng.choice(["name", "id", "x"]), "sort_dir": self._rng.choice(["asc", "up"])}
        return {"op": f"list_{kind}", "filters": filters}

    def _quota(self) -> Op:
        resource = self._rng.choice(["port", "subnet", "network", "security_group", "security_group_rule"])
        return {"op": "set_quota", "body": {resource: self._rng.randint(0, 4)}}
