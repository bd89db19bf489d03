"""Random sequences of network requests, in the form of the cases in `tests/network`; the same seed, the same sequence.

What is drawn is meant to collide: few MACs, small pools, addresses at the ends of subnets, other projects' things.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

Op = dict[str, Any]

MACS = ["fa:16:3e:11:22:33", "fa:16:3e:11:22:34", "0a:00:00:00:00:01"]
ODD_MACS = ["FA:16:3E:11:22:33", "fa-16-3e-11-22-33", "01:00:5e:00:00:01", "00:00:00:00:00:00", "fa:16:3e", "", 7]
OWNERS = ["compute:nova", "compute:az1", "network:dhcp", "network:router_interface", "network:router_gateway"]
OWNERS += ["network:floatingip", "baremetal:none", "neutron:LOADBALANCER", "x" * 256]
MODES = ["slaac", "dhcpv6-stateless", "dhcpv6-stateful"]
OPTIONS = [{"opt_name": "mtu", "opt_value": "1400"}, {"opt_name": "mtu", "opt_value": None}]
OPTIONS += [{"opt_name": "router", "opt_value": ""}, {"opt_name": "bootfile-name", "opt_value": "a", "ip_version": 6}]
OPTIONS += [{"opt_name": "", "opt_value": "a"}, {"opt_name": "a"}]
PAIRS = [
    {"ip_address": "10.0.0.77"},
    {"ip_address": "10.0.0.0/24"},
    {"ip_address": "10.0.0.77", "mac_address": MACS[0]},
]
PAIRS += [
    {"ip_address": "2001:db8::/64"},
    {"ip_address": "10.0.0"},
    {"mac_address": MACS[0]},
    {"ip_address": "1.1.1.1/33"},
]
NOBODY = "11111111-2222-3333-4444-555555555555"


@dataclass
class Site:
    """What a sequence has asked for so far; whether it was granted is not known here."""

    networks: list[str] = field(default_factory=list)
    subnets: list[tuple[str, str, IPv4Network | IPv6Network]] = field(default_factory=list)
    ports: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
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
        verbs = {
            self._subnet: 3,
            self._port: 12,
            self._change_port: 8,
            self._bind: 2,
            self._delete_port: 4,
            self._get_port: 1,
            self._list: 1,
            self._bulk: 1,
            self._change_subnet: 2,
            self._delete_subnet: 1,
            self._network: 1,
            self._change_network: 1,
            self._delete_network: 1,
            self._group: 1,
            self._delete_group: 1,
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

    def _subnet_of(self, network: str) -> tuple[str, str, IPv4Network | IPv6Network]:
        own = [each for each in self._site.subnets if "$" + each[1] == network]
        return self._rng.choice(own if own and self._chance(0.95) else self._site.subnets)

    def _address(self, cidr: IPv4Network | IPv6Network) -> str:
        if self._chance(0.03):
            return self._rng.choice(["10.99.0.1", "2001:db8:99::1", "10.0.0", "10.0.0.300", "", "10.0.0.5/24"])
        size = cidr.num_addresses
        place = self._rng.choice([0, 1, 2, 3, 3, 4, 5, 6, 10, 20, size - 2, size - 1, size])
        return str(cidr.network_address + min(place, size))

    # --- networks and subnets -------------------------------------------------------------------------------------

    def _network(self) -> Op:
        name = self._site.name("n")
        self._site.networks.append(name)
        body = {"name": name} | self._some(
            port_security_enabled=(0.15, [True, False, "no"]),
            shared=(0.2, [True]),
            router__external=(0.05, [True]),
            admin_state_up=(0.1, [False, "true", "maybe"]),
            mtu=(0.1, [0, 1280, 1400, 1501, 67, -1]),
        )
        return {"op": "create_network", "as": name, "body": body}

    def _change_network(self) -> Op:
        body = self._some(
            name=(0.4, ["new", "x" * 256]),
            shared=(0.4, [True, False]),
            port_security_enabled=(0.3, [True, False]),
            mtu=(0.2, [1300, 60, 9000]),
            admin_state_up=(0.2, [True, False]),
        )
        return {"op": "update_network", "id": self._a_network(), "body": body or {"name": "new"}}

    def _delete_network(self) -> Op:
        return {"op": "delete_network", "id": self._a_network()}

    def _subnet(self) -> Op:
        rng, site = self._rng, self._site
        number = rng.choice([0, len(site.subnets), len(site.subnets)])
        v4, v6 = f"10.0.{number}.0", f"2001:db8:{number}::"
        text = rng.choice([f"{v4}/24", f"{v4}/29", f"{v4}/29", f"{v4}/30", f"{v6}/64", f"{v6}/64", f"{v6}/64"])
        if self._chance(0.1):
            text = rng.choice(
                [f"{v4}/31", f"{v4}/32", f"{v6}/127", f"{v6}/128", f"{v6}/112", "10.0.0.77/24", "224.0.0.0/24"]
            )
        cidr = ip_network(text, strict=False)
        name, network = site.name("s"), self._a_network()
        site.subnets.append((name, network[1:], cidr))
        body: dict[str, Any] = {"network_id": network, "cidr": text, "ip_version": cidr.version}
        if cidr.version == 6 and self._chance(0.75):
            mode = rng.choice(MODES)
            body |= {"ipv6_ra_mode": mode, "ipv6_address_mode": mode} if self._chance(0.8) else {"ipv6_ra_mode": mode}
        body |= self._of_subnet(cidr, 0.15)
        body |= self._some(ip_version=(0.02, [4, 6, 5]), ipv6_address_mode=(0.03, MODES))
        return {"op": "create_subnet", "as": name, "body": body}

    def _of_subnet(self, cidr: IPv4Network | IPv6Network, probability: float) -> dict[str, Any]:
        pools = [[self._pool(cidr)], [self._pool(cidr), self._pool(cidr)], []]
        return self._some(
            gateway_ip=(probability, [None, self._address(cidr), self._address(cidr)]),
            allocation_pools=(2 * probability, pools),
            enable_dhcp=(probability, [False, True, "x"]),
            dns_nameservers=(probability / 2, [["10.0.0.9"], ["2001:db8::9"], ["10.0.0.9", "10.0.0.9"], ["a.b"]]),
            host_routes=(probability / 2, [[{"destination": "10.1.0.0/16", "nexthop": "10.0.0.3"}], [{"a": "b"}]]),
            service_types=(probability / 2, [["compute:nova"], ["network:dhcp"], ["x"]]),
            name=(probability, ["a", "x" * 256]),
        )

    def _pool(self, cidr: IPv4Network | IPv6Network) -> dict[str, str]:
        first, last = self._address(cidr), self._address(cidr)
        return {"start": first, "end": last}

    def _change_subnet(self) -> Op:
        name, _, cidr = self._rng.choice(self._site.subnets)
        return {"op": "update_subnet", "id": f"${name}", "body": self._of_subnet(cidr, 0.35)}

    def _delete_subnet(self) -> Op:
        return {"op": "delete_subnet", "id": "$" + self._rng.choice(self._site.subnets)[0]}

    # --- ports ----------------------------------------------------------------------------------------------------

    def _fixed_ips(self, network: str) -> list[dict[str, Any]]:
        entries = []
        for _ in range(self._rng.choice([0, 1, 1, 1, 1, 2, 2, 3, 6])):
            name, _, cidr = self._subnet_of(network)
            forms: list[dict[str, Any]] = [{"subnet_id": f"${name}"}, {"ip_address": self._address(cidr)}]
            forms += [forms[0] | forms[1], forms[0], forms[1]]
            entries.append(self._rng.choice(forms) if self._chance(0.98) else {})
        return entries

    def _of_port(self, network: str, probability: float) -> dict[str, Any]:
        groups = [f"${name}" for name in self._site.groups]
        rng = self._rng
        return self._some(
            fixed_ips=(2.5 * probability, [self._fixed_ips(network)]),
            mac_address=(probability, MACS if self._chance(0.85) else ODD_MACS),
            device_id=(probability, ["vm", "", "x" * 256]),
            device_owner=(1.5 * probability, OWNERS),
            name=(probability, ["web", "", "x" * 256]),
            admin_state_up=(probability / 2, [True, False]),
            port_security_enabled=(probability, [True, False]),
            security_groups=(probability, [[], [rng.choice(groups)] if groups else [], groups, [NOBODY]]),
            allowed_address_pairs=(probability, [[rng.choice(PAIRS)], rng.sample(PAIRS[:4], 2), []]),
            extra_dhcp_opts=(probability, [[rng.choice(OPTIONS)], rng.sample(OPTIONS[1:4], 2), []]),
            binding__host_id=(probability, ["host1", "nowhere", ""]),
            binding__vnic_type=(probability / 3, ["normal", "direct", "x"]),
            binding__profile=(probability / 3, [{"a": "b"}, {}]),
            description=(probability / 3, ["text"]),
        )

    def _port(self) -> Op:
        name, network = self._site.name("p"), self._a_network()
        self._site.ports.append((name, network))
        body = {"network_id": network} | self._of_port(network, 0.2)
        return {"op": "create_port", "as": name, "body": body}

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
        return {"op": "update_port", "id": f"${port[0]}", "body": self._of_port(port[1], 0.25)}

    def _bind(self) -> Op | None:
        if (port := self._a_port()) is None:
            return None
        body = {"binding:host_id": self._rng.choice(["host1", "host1", "nowhere", ""]), "device_owner": "compute:nova"}
        return {"op": "update_port", "id": f"${port[0]}", "body": body | {"device_id": "vm"}}

    def _delete_port(self) -> Op | None:
        port = self._a_port()
        return port and {"op": "delete_port", "id": f"${port[0]}"}

    def _get_port(self) -> Op | None:
        port = self._a_port()
        return port and {"op": "get_port", "id": f"${port[0]}"}

    def _list(self) -> Op:
        filters = {"network_id": self._a_network()} | self._some(device_id=(0.3, ["vm"]), name=(0.3, ["web"]))
        return {"op": "list_port", "filters": filters}

    # --- the rest -------------------------------------------------------------------------------------------------

    def _group(self) -> Op:
        name = self._site.name("g")
        self._site.groups.append(name)
        return {"op": "create_security_group", "as": name, "body": {"name": self._rng.choice(["web", "default", ""])}}

    def _delete_group(self) -> Op | None:
        groups = self._site.groups
        return {"op": "delete_security_group", "id": "$" + self._rng.choice(groups)} if groups else None

    def _quota(self) -> Op:
        return {"op": "set_quota", "body": {self._rng.choice(["port", "subnet", "network"]): self._rng.randint(0, 4)}}
