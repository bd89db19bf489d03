"""Random sequences of network requests, in the form of the cases in `tests/network`; the same seed, the same sequence.

What is drawn is meant to collide: few MACs, small pools, addresses at the ends of subnets, other projects' things.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from bench import drawn_values as values
from bench.drawn_bodies import Bodies, Site
from bench.drawn_values import NOBODY

Op = dict[str, Any]


class Sequences:
    """Draws one sequence for one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._site = Site()
        self._bodies = Bodies(self._rng, self._site)

    def draw(self) -> list[Op]:
        ops: list[Op] = [self._first_network(), self._subnet()]
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

    def _asker(self, op: Op) -> Op:
        if op["op"] != "set_quota" and self._chance(0.15):
            op["member"] = True
            if self._chance(0.3):
                op["project"] = "other"
        return op

    def _a_network(self) -> str:
        return "$" + self._rng.choice(self._site.networks) if self._chance(0.98) else NOBODY

    # --- networks and subnets -------------------------------------------------------------------------------------

    def _first_network(self) -> Op:
        """One that is granted: without a network little else is."""
        body = {"name": "n"} | self._bodies.some(shared=(0.2, ([True], [])))
        return {"op": "create_network", "as": self._new_network(), "body": body}

    def _network(self) -> Op:
        body = {"name": "n"} | self._bodies.network(0.1, shared=[True]) | self._bodies.segment()
        return {"op": "create_network", "as": self._new_network(), "body": self._bodies.wrong(body)}

    def _new_network(self) -> str:
        name = self._site.name("n")
        self._site.networks.append(name)
        return name

    def _change_network(self) -> Op:
        body = self._bodies.wrong(self._bodies.network(0.25, shared=[True, False]))
        return {"op": "update_network", "id": self._a_network(), "body": body or {"name": "new"}}

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
        body |= self._bodies.subnet(cidr, 0.12)
        body |= self._bodies.some(
            ip_version=(0.01, ([4, 6, 5, "4", "x", None], [])),
            ipv6_ra_mode=(0.01, ([*values.MODES, "x"], [])),
            ipv6_address_mode=(0.02, ([*values.MODES, "x"], [])),
            cidr=(0.02, (values.BAD_CIDRS, [])),
        )
        if self._chance(0.01):
            del body[rng.choice(["network_id", "ip_version", "cidr"])]
        return {"op": "create_subnet", "as": name, "body": self._bodies.wrong(body)}

    def _change_subnet(self) -> Op:
        name, _, cidr = self._rng.choice(self._site.subnets)
        body = self._bodies.subnet(cidr, 0.3)
        body |= self._bodies.some(cidr=(0.02, (["10.0.0.0/25"], [])), ipv6_ra_mode=(0.02, (values.MODES, [])))
        return {"op": "update_subnet", "id": f"${name}", "body": self._bodies.wrong(body)}

    def _delete_subnet(self) -> Op:
        return {"op": "delete_subnet", "id": "$" + self._rng.choice(self._site.subnets)[0]}

    # --- ports ----------------------------------------------------------------------------------------------------

    def _port(self) -> Op:
        name, network = self._site.name("p"), self._a_network()
        self._site.ports.append((name, network))
        body = {"network_id": network} | self._bodies.port(network, 0.2)
        return {"op": "create_port", "as": name, "body": self._bodies.wrong(body)}

    def _bulk(self) -> Op:
        network = self._a_network()
        # Neutron's answer has another order than the request: the names tell which is which.
        bodies = [
            {"network_id": network} | self._bodies.port(network, 0.05) | {"name": f"b{number}"}
            for number in range(self._rng.randint(1, 4))
        ]
        return {"op": "bulk_create_port", "bodies": bodies}

    def _a_port(self) -> tuple[str, str] | None:
        return self._rng.choice(self._site.ports) if self._site.ports else None

    def _change_port(self) -> Op | None:
        if (port := self._a_port()) is None:
            return None
        return {"op": "update_port", "id": f"${port[0]}", "body": self._bodies.wrong(self._bodies.port(port[1], 0.25))}

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
        return {"op": "create_security_group", "as": name, "body": self._bodies.wrong(body)}

    def _change_group(self) -> Op | None:
        if not self._site.groups:
            return None
        body = self._bodies.some(name=(0.7, (["new", "default", ""], [values.LONG])), description=(0.5, values.TEXTS))
        return {"op": "update_security_group", "id": "$" + self._rng.choice(self._site.groups), "body": body}

    def _rule(self) -> Op | None:
        if not self._site.groups:
            return None
        name = self._site.name("r")
        self._site.rules.append(name)
        body = self._bodies.rule(["$" + each for each in self._site.groups])
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
        network, some = {"network_id": self._a_network()}, self._bodies.some
        kind, filters = self._rng.choice(
            [
                (
                    "port",
                    network | some(device_id=(0.3, (values.DEVICES[0], [])), name=(0.3, (["web", ""], [values.LONG]))),
                ),
                ("port", network | some(mac_address=(0.5, (values.MACS[0], [])), status=(0.3, (["DOWN"], ["x"])))),
                ("port", network | some(device_owner=(0.9, (values.OWNERS[0], [])))),
                ("subnet", network | some(ip_version=(0.5, ([4, 6], [])), cidr=(0.2, (["10.0.0.0/24"], [])))),
                ("subnet", network | some(enable_dhcp=(0.5, ([True, False], ["x"])))),
                ("network", {"id": network["network_id"]} | some(shared=(0.3, ([True, False], ["x"])))),
                ("security_group_rule", {"security_group_id": self._one("security_group")[1]}),
            ]
        )
        filters |= some(foo=(0.02, (["x"], []))) or some(limit=(0.1, ([0, 1, 2], [-1, "x"])))
        if self._chance(0.1):
            filters |= {"sort_key": self._rng.choice(["name", "id", "x"]), "sort_dir": self._rng.choice(["asc", "up"])}
        return {"op": f"list_{kind}", "filters": filters}

    def _quota(self) -> Op:
        resource = self._rng.choice(["port", "subnet", "network", "security_group", "security_group_rule"])
        force = {"force": True} if self._chance(0.5) else {}
        return {"op": "set_quota", "body": {resource: self._rng.randint(0, 4)} | force}
