"""Random sequences of requests about routers, floating IPs and port forwardings; the same seed, the same sequence.

Few networks, subnets and addresses, so that what is drawn collides: overlapping subnets, two routers on one network.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from bench.drawn_values import LONG, NOBODY
from bench.sequences import Op

_INSIDE = ("10.0.0.0/24", "10.0.1.0/24", "10.0.0.128/25", "2001:db8:1::/64")
_OUTSIDE = ("203.0.113.0/24", "203.0.113.0/29", "198.51.100.0/24")


class RoutedSequences:
    """Draws one sequence for one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._made: dict[str, list[str]] = {
            kind: [] for kind in ("inside", "outside", "subnet", "router", "port", "floatingip", "forwarding")
        }
        self._count = 0

    def draw(self) -> list[Op]:
        ops = [self._network(), self._subnet("inside"), self._external(), self._subnet("outside"), self._router()]
        verbs: dict[Callable[[], Op], int] = {
            self._add_interface: 10,
            self._remove_interface: 4,
            self._change_router: 10,
            self._delete_router: 1,
            self._floating: 8,
            self._change_floating: 6,
            self._delete_floating: 2,
            self._forwarding: 6,
            self._change_forwarding: 2,
            self._delete_forwarding: 1,
            self._port: 6,
            self._change_port: 3,
            self._delete_port: 2,
            self._router: 2,
            self._network: 1,
            self._external: 1,
            lambda: self._subnet("inside"): 2,
            lambda: self._subnet("outside"): 2,
            self._change_subnet: 2,
            self._delete_some: 2,
            self._make_internal: 1,
            self._get: 4,
            self._quota: 1,
        }
        while len(ops) < self._rng.randint(10, 24):
            op = self._rng.choices(list(verbs), list(verbs.values()))[0]()
            if op["op"] != "set_quota" and self._rng.random() < 0.12:
                op["member"] = True
                if self._rng.random() < 0.3:
                    op["project"] = "other"
            ops.append(op)
        return ops

    # --- what is drawn from ---------------------------------------------------------------------------------------

    def _new(self, kind: str) -> str:
        self._count += 1
        name = f"{kind[0]}{self._count}"
        self._made[kind].append(name)
        return name

    def _one(self, *kinds: str) -> str:
        names = [name for kind in kinds for name in self._made[kind]]
        return f"${self._rng.choice(names)}" if names and self._rng.random() < 0.97 else NOBODY

    def _some(self, **values: tuple[float, list[Any]]) -> dict[str, Any]:
        return {
            name: self._rng.choice(choice) for name, (chance, choice) in values.items() if self._rng.random() < chance
        }

    # --- networks, subnets, ports ---------------------------------------------------------------------------------

    def _network(self) -> Op:
        return {
            "op": "create_network",
            "as": self._new("inside"),
            "body": {"name": "n"} | self._some(shared=(0.2, [True])),
        }

    def _external(self) -> Op:
        return {"op": "create_network", "as": self._new("outside"), "body": {"name": "e", "router:external": True}}

    def _subnet(self, side: str) -> Op:
        cidr = self._rng.choice(_INSIDE if side == "inside" else _OUTSIDE)
        body: dict[str, Any] = {"network_id": self._one(side), "cidr": cidr, "ip_version": 6 if ":" in cidr else 4}
        body |= self._some(gateway_ip=(0.1, [None]), enable_dhcp=(0.1, [False]))
        if ":" in cidr and "enable_dhcp" not in body:
            body |= self._some(ipv6_ra_mode=(0.3, ["slaac"]), ipv6_address_mode=(0.3, ["slaac"]))
        return {"op": "create_subnet", "as": self._new("subnet"), "body": body}

    def _address(self) -> str:
        return self._rng.choice(["10.0.0.9", "10.0.0.10", "10.0.0.1", "10.0.1.9", "10.0.0.130", "2001:db8:1::9"])

    def _port(self) -> Op:
        body: dict[str, Any] = {"network_id": self._one("inside", "inside", "inside", "outside")}
        if self._rng.random() < 0.8:
            count = self._rng.choice([1, 1, 1, 2])
            body["fixed_ips"] = [{"ip_address": self._address()} for _ in range(count)]
        body |= self._some(device_owner=(0.1, ["network:dhcp", "compute:nova"]), device_id=(0.1, ["vm"]))
        return {"op": "create_port", "as": self._new("port"), "body": body}

    def _change_port(self) -> Op:
        body = self._some(
            fixed_ips=(0.6, [[{"ip_address": self._address()}], [], [{"subnet_id": self._one("subnet")}]]),
            device_owner=(0.2, ["", "compute:nova"]),
            device_id=(0.2, ["", self._one("router")]),
            name=(0.3, ["x"]),
        )
        return {"op": "update_port", "id": self._one("port"), "body": body or {"name": "y"}}

    def _delete_port(self) -> Op:
        return {"op": "delete_port", "id": self._one("port")}

    def _change_subnet(self) -> Op:
        body = self._some(gateway_ip=(0.7, [None, "10.0.0.1", "10.0.0.254"]), name=(0.3, ["s"])) or {"name": "t"}
        return {"op": "update_subnet", "id": self._one("subnet"), "body": body}

    def _delete_some(self) -> Op:
        if self._rng.random() < 0.5:
            return {"op": "delete_subnet", "id": self._one("subnet")}
        return {"op": "delete_network", "id": self._one("inside", "outside")}

    def _make_internal(self) -> Op:
        external = self._rng.choice([False, True])
        return {"op": "update_network", "id": self._one("inside", "outside"), "body": {"router:external": external}}

    # --- routers --------------------------------------------------------------------------------------------------

    def _gateway(self) -> Any:
        info: dict[str, Any] = {"network_id": self._one("outside", "outside", "outside", "inside")}
        info |= self._some(
            enable_snat=(0.2, [False, True, "maybe"]),
            external_fixed_ips=(
                0.25,
                [
                    [{"ip_address": "203.0.113.5"}],
                    [{"ip_address": "203.0.113.6"}, {"ip_address": "203.0.113.5"}],
                    [{"ip_address": "203.0.113.1"}],
                    [{"ip_address": "10.0.0.5"}],
                    [{"subnet_id": self._one("subnet"), "ip_address": "203.0.113.4"}],
                ],
            ),
            colour=(0.02, ["red"]),
        )
        return self._rng.choice([info] * 8 + [None, {}])

    def _routes(self) -> Any:
        route = {
            "destination": self._rng.choice(["10.9.0.0/16", "10.8.0.0/16", "0.0.0.0/0", "2001:db8:9::/64"]),
            "nexthop": self._rng.choice(
                ["10.0.0.7", "10.0.0.1", "10.0.1.7", "203.0.113.7", "2001:db8:1::7", "10.7.0.1"]
            ),
        }
        odd = [{"destination": "10.9.0.1/16", "nexthop": "10.0.0.7"}, {"destination": "10.9.0.0/16"}, "x"]
        return self._rng.choice([[route]] * 8 + [[], None, [self._rng.choice(odd)], [route, route]])

    def _router(self) -> Op:
        body = self._some(
            name=(0.5, ["r", "r", LONG, None]),
            description=(0.1, ["d"]),
            admin_state_up=(0.1, [False, "x"]),
            external_gateway_info=(0.3, [self._gateway()]),
            routes=(0.03, [[]]),
            distributed=(0.03, [False]),
        )
        return {"op": "create_router", "as": self._new("router"), "body": body}

    def _change_router(self) -> Op:
        body = self._some(
            name=(0.1, ["q"]),
            external_gateway_info=(0.7, [self._gateway()]),
            routes=(0.35, [self._routes()]),
            status=(0.02, ["DOWN"]),
        )
        return {"op": "update_router", "id": self._one("router"), "body": body or {"description": "d"}}

    def _delete_router(self) -> Op:
        return {"op": "delete_router", "id": self._one("router")}

    def _interface(self) -> dict[str, Any]:
        by_subnet, by_port = {"subnet_id": self._one("subnet")}, {"port_id": self._one("port")}
        return self._rng.choice([by_subnet] * 6 + [by_port] * 3 + [by_subnet | by_port, {}, {"subnet_id": "x"}])

    def _add_interface(self) -> Op:
        op = {"op": "add_router_interface", "id": self._one("router"), "body": self._interface()}
        return op | ({"as": self._new("port")} if "subnet_id" in op["body"] else {})

    def _remove_interface(self) -> Op:
        return {"op": "remove_router_interface", "id": self._one("router"), "body": self._interface()}

    # --- floating IPs and forwardings -----------------------------------------------------------------------------

    def _floating(self) -> Op:
        body: dict[str, Any] = {"floating_network_id": self._one("outside", "outside", "outside", "inside")}
        body |= self._some(
            port_id=(0.6, [self._one("port")]),
            fixed_ip_address=(0.15, [self._address()]),
            floating_ip_address=(0.15, ["203.0.113.3", "203.0.113.4", "10.0.0.3", "x"]),
            subnet_id=(0.08, [self._one("subnet")]),
            router_id=(0.08, [self._one("router")]),
            description=(0.1, ["d"]),
        )
        return {"op": "create_floatingip", "as": self._new("floatingip"), "body": body}

    def _change_floating(self) -> Op:
        body = self._some(
            port_id=(0.6, [self._one("port"), self._one("port"), None]),
            fixed_ip_address=(0.2, [self._address()]),
            description=(0.2, ["d"]),
            router_id=(0.06, [self._one("router")]),
            floating_network_id=(0.02, [self._one("outside")]),
        )
        return {"op": "update_floatingip", "id": self._one("floatingip"), "body": body}

    def _delete_floating(self) -> Op:
        return {"op": "delete_floatingip", "id": self._one("floatingip")}

    def _ports(self) -> dict[str, Any]:
        return self._rng.choice(
            [
                {"external_port": self._rng.choice([80, 81]), "internal_port": self._rng.choice([22, 23, "22"])},
                {"external_port": 80, "internal_port": 22},
                {"external_port_range": "80:82", "internal_port_range": self._rng.choice(["22:24", "22:22", "22:23"])},
                {"external_port": self._rng.choice([0, 65536, "x"]), "internal_port": 22},
                {"external_port_range": "82:80", "internal_port": 22},
            ]
        )

    def _forwarding(self) -> Op:
        body = {
            "protocol": self._rng.choice(["tcp", "tcp", "udp", "TCP", 6]),
            "internal_port_id": self._one("port"),
            "internal_ip_address": self._address(),
        } | self._ports()
        op = {"op": "create_port_forwarding", "as": self._new("forwarding"), "floatingip": self._one("floatingip")}
        return op | {"body": body}

    def _change_forwarding(self) -> Op:
        body = self._some(
            internal_ip_address=(0.3, [self._address()]), protocol=(0.2, ["udp"]), description=(0.2, ["d"])
        )
        body |= self._ports() if self._rng.random() < 0.5 else {}
        where = {"id": self._one("forwarding"), "floatingip": self._one("floatingip")}
        return {"op": "update_port_forwarding", **where, "body": body or {"description": "e"}}

    def _delete_forwarding(self) -> Op:
        where = {"id": self._one("forwarding"), "floatingip": self._one("floatingip")}
        return {"op": "delete_port_forwarding", **where}

    def _get(self) -> Op:
        kind = self._rng.choice(["router", "floatingip", "port", "list"])
        if kind == "list":
            return {"op": "list_port", "filters": {"device_id": self._one("router")}}
        return {"op": f"get_{kind}", "id": self._one(kind)}

    def _quota(self) -> Op:
        resource = self._rng.choice(["router", "floatingip", "router_route", "port"])
        return {"op": "set_quota", "body": {resource: self._rng.randint(0, 3), "force": True}}
