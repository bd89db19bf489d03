"""The two sides of the differential test, Neutron's API and Slipway's driver, with the same words for what they did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from bench.drawn_values import NOBODY
from bench.neutron_process import Neutron
from bench.sequences import Op
from slipway import errors
from slipway.drivers.network.embedded.addressing import addresses
from slipway.drivers.network.embedded.common import macs
from slipway.drivers.network.embedded.common.quotas import RESOURCES
from slipway.drivers.network.embedded.common.tables import IpAddress, free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.networks.nulls import as_given
from slipway.settings import Settings
from slipway.states.schema import hosts
from slipway.states.store import Store, Transaction

Outcome = dict[str, Any]
"""`ok` and the `result`, or `error` (a class name), `status` and `message`."""

PATHS = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "router": "routers",
    "floatingip": "floatingips",
}
COMPARED = {
    "network": "name admin_state_up mtu shared port_security_enabled router:external description subnets",
    "subnet": "name ip_version cidr gateway_ip allocation_pools enable_dhcp ipv6_ra_mode ipv6_address_mode "
    "dns_nameservers host_routes service_types network_id description",
    "port": "name network_id mac_address fixed_ips device_id device_owner status admin_state_up security_groups "
    "port_security_enabled allowed_address_pairs extra_dhcp_opts binding:host_id binding:vif_type binding:vnic_type "
    "binding:profile description",
    "security_group": "name description",
    "security_group_rule": "security_group_id direction ethertype protocol port_range_min port_range_max "
    "remote_ip_prefix remote_group_id description",
    "router": "name admin_state_up status description external_gateway_info routes",
    "floatingip": "floating_network_id floating_ip_address fixed_ip_address port_id router_id status description",
    "port_forwarding": "protocol internal_ip_address internal_port external_port internal_port_id internal_port_range "
    "external_port_range description",
    "router_interface": "network_id subnet_ids",
}
"""What of each thing is compared."""


ROUTER_ACTIONS = ("add_router_interface", "remove_router_interface")
UNASKED = ("network:router_interface", "network:router_gateway", "network:floatingip")
OUTSIDE = ("create_router", "update_router", "create_floatingip")
"""What takes addresses of external networks."""


class Names:
    """The names that a sequence gives to what it makes, in place of the ids."""

    def __init__(self, number: int) -> None:
        self._ids: dict[str, Any] = {"vlan": 1 + number % 4094, "vni": 10_000 + number, "flat": f"flat{number}"}
        self._names: dict[str, str] = {}
        self._of_routers: set[str] = set()

    def learn(self, op: Op, made: Any) -> None:
        if isinstance(made, Mapping) and "as" in op:
            id_ = made["port_id"] if op["op"] == "add_router_interface" else made["id"]
            self._ids[op["as"]] = id_
            if op["op"] == "add_router_interface":
                self._of_routers.add(id_)
            self._names.setdefault(id_, "$" + op["as"])

    def refer(self, value: Any) -> Any:
        """With ids in place of the names; what was never made has an id that nobody has."""
        if isinstance(value, Mapping):
            return {key: self.refer(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.refer(each) for each in value]
        return self._ids.get(value[1:], NOBODY) if isinstance(value, str) and value.startswith("$") else value

    def id_of(self, name: str) -> str:
        return self._ids[name.removeprefix("$")]

    def told(self, resource: str, made: Any) -> Any:
        """What is compared of a thing or of several, with names in place of ids and what has no order sorted."""
        if isinstance(made, list):
            return sorted((self.told(resource, each) for each in made), key=json.dumps)
        if made is None:
            return None
        found = {key: self._named(made[key]) for key in COMPARED[resource].split() if key in made}
        unasked = made.get("device_owner") in UNASKED and made["id"] not in self._names
        if resource == "port" and (unasked or made["id"] in self._of_routers):
            # The MAC of what the service makes for itself is in no answer before this one.
            del found["mac_address"]
        if found.get("binding:vif_type") == "ovs":
            # Each of the two binds by its own driver.
            found["binding:vif_type"] = "bridge"
        if gateway := found.get("external_gateway_info"):
            gateway["external_fixed_ips"].sort(key=json.dumps)
        if "security_groups" in found:
            # The only group that no sequence makes is the project's default one.
            found["security_groups"] = [
                each if each.startswith("$") else "default" for each in found["security_groups"]
            ]
        for key, value in found.items():
            if isinstance(value, list):
                found[key] = sorted(value, key=json.dumps)
        return found | ({"subnets": len(found["subnets"])} if "subnets" in found else {})

    def _named(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._named(each) for key, each in sorted(value.items())}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        return self._names.get(value, value) if isinstance(value, str) else value


class Theirs:
    """Neutron's API, for one sequence in a project of its own."""

    def __init__(self, neutron: Neutron, number: int) -> None:
        self._neutron = neutron
        self._project = f"project-{number}"
        self._names = Names(number)

    def run(self, op: Op) -> Outcome:
        kind, _, resource = op["op"].partition("_")
        project = self._project + ("-other" if "project" in op else "")
        member = op.get("member", False)
        body = self._names.refer(op.get("body"))
        if op["op"] in ROUTER_ACTIONS:
            path = f"/routers/{self._names.refer(op['id'])}/{op['op']}"
            answer = self._neutron.call("PUT", path, body, project=project, member=member)
            if "error" in answer:
                return {"ok": False} | answer
            self._names.learn(op, answer["body"])
            return {"ok": True, "result": self._names.told("router_interface", answer["body"])}
        if "floatingip" in op:
            return self._forwarding(op, kind, body, project, member)
        if kind == "set":
            answer = self._neutron.call("PUT", f"/quotas/{self._project}", {"quota": body})
            return {"ok": False} | answer if "error" in answer else {"ok": True, "result": None}
        if kind == "create":
            # As Neutron's clients do, an administrator says for whom it is.
            answer = self._call("POST", resource, "", {resource: {"project_id": project} | body}, project, member)
        elif kind == "bulk":
            resource = "port"
            bodies = [{"project_id": project} | self._names.refer(each) for each in op["bodies"]]
            answer = self._call("POST", resource, "", {"ports": bodies}, project, member)
        elif kind == "list":
            filters = "&".join(f"{key}={value}" for key, value in self._names.refer(op["filters"]).items())
            answer = self._call("GET", resource, f"?{filters}", None, project, member)
        else:
            method = {"update": "PUT", "delete": "DELETE", "get": "GET"}[kind]
            given = {resource: body} if kind == "update" else None
            answer = self._call(method, resource, "/" + self._names.refer(op["id"]), given, project, member)
        if "error" in answer:
            return {"ok": False} | answer
        made = next(iter(answer["body"].values())) if answer["body"] else None
        if kind == "list" and "limit" in op["filters"]:
            return {"ok": True, "result": len(made)}
        self._names.learn(op, made)
        return {"ok": True, "result": self._names.told(resource, made)}

    def _forwarding(self, op: Op, kind: str, body: Any, project: str, member: bool) -> Outcome:
        path = f"/floatingips/{self._names.refer(op['floatingip'])}/port_forwardings"
        path += f"/{self._names.refer(op['id'])}" if "id" in op else ""
        method = {"create": "POST", "update": "PUT", "delete": "DELETE"}[kind]
        given = None if body is None else {"port_forwarding": body}
        answer = self._neutron.call(method, path, given, project=project, member=member)
        if "error" in answer:
            return {"ok": False} | answer
        made = answer["body"] and answer["body"]["port_forwarding"]
        self._names.learn(op, made)
        return {"ok": True, "result": self._names.told("port_forwarding", made)}

    def _call(self, method: str, resource: str, rest: str, body: Any, project: str, member: bool) -> dict[str, Any]:
        return self._neutron.call(method, f"/{PATHS[resource]}{rest}", body, project=project, member=member)


class _RolledBack(Exception):
    """Each sequence leaves our database as it was."""


class Ours:
    """Slipway's driver, which draws the addresses and MACs that Neutron drew."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(f"sqlite:///{directory / 'slipway.db'}", synchronous="OFF")
        quotas: dict[str, Any] = {f"quota_{resource}": -1 for resource in RESOURCES}
        self._driver = EmbeddedNetwork(self.store, Settings(**quotas, physical_networks=("physnet1", "physnet2")))
        host = {"name": "host1", "spec": b"", "enabled": True, "vcpus_limit": 0, "memory_limit": 0, "disk_limit": 0}
        with self.store.write() as tx:
            tx.execute(hosts.insert(), host)

    @contextmanager
    def sequence(self, number: int) -> Iterator[None]:
        """One sequence in a transaction that is rolled back."""
        self._names, self._project = Names(number), f"project-{number}"
        try:
            with self.store.write() as tx:
                self._tx = tx
                yield
                raise _RolledBack
        except _RolledBack:
            pass

    def run(self, op: Op, theirs: Outcome) -> Outcome:
        """Do the operation, with what was drawn at random in `theirs`."""
        result = theirs.get("result") or []
        result = [] if isinstance(result, int) else result
        ports = [
            each
            for each in (result if isinstance(result, list) else [result])
            if {"fixed_ips", "mac_address"} <= {*each}
        ]
        try:
            with self._drawing(op, ports), self._drawing_outside(op, result):
                return {"ok": True, "result": self._run(op)}
        except errors.NetworkError as error:
            return {"ok": False, "error": type(error).__name__, "status": error.status, "message": str(error)}

    def _run(self, op: Op) -> Any:
        kind, _, resource = op["op"].partition("_")
        context = Context(self._project + ("-other" if "project" in op else ""), is_admin=not op.get("member", False))
        body: Mapping[str, Any] = _attributes(self._names.refer(op.get("body", {})))
        if kind == "set":
            self._driver.set_quotas(context, self._project, tx=self._tx, **body)
            return None
        if kind == "bulk":
            bodies = [as_given(_attributes(self._names.refer(each))) for each in op["bodies"]]
            found = self._driver.create_ports(context, bodies, tx=self._tx)
            return self._told("port", [_plain(each) for each in found])
        if kind == "list":
            found = getattr(self._driver, f"list_{resource}s")(
                context, tx=self._tx, **_attributes(self._names.refer(op["filters"]))
            )
            if "limit" in op["filters"]:
                return len(found)
            return self._told(resource, [_plain(each) for each in found])
        method = getattr(self._driver, ("show" if kind == "get" else kind) + "_" + resource)
        ids = tuple(self._names.refer(op[name]) for name in ("floatingip", "id") if name in op)
        body = as_given(body) if kind == "create" else body
        made = method(context, *ids, tx=self._tx, **body)
        self._names.learn(op, made and _plain(made))
        return self._told("router_interface" if op["op"] in ROUTER_ACTIONS else resource, made and _plain(made))

    def _told(self, resource: str, made: Any) -> Any:
        return self._names.told(resource, made)

    @contextmanager
    def _drawing_outside(self, op: Op, result: Any) -> Iterator[None]:
        """Meanwhile the address of a gateway or a floating IP is the one that Neutron drew."""
        found = list(_texts(result)) if op["op"] in OUTSIDE and isinstance(result, dict) else []
        wanted = [ip_address(text) for text in found if _is_address(text)]
        take_next = addresses.take_next

        def follow(tx: Transaction, subnet_id: str) -> IpAddress | None:
            for address in wanted:
                if _is_free(tx, subnet_id, address):
                    addresses.take(tx, subnet_id, address)
                    return address
            return take_next(tx, subnet_id)

        addresses.take_next = follow
        try:
            yield
        finally:
            addresses.take_next = take_next

    @contextmanager
    def _drawing(self, op: Op, ports: list[dict[str, Any]]) -> Iterator[None]:
        """Meanwhile these ports' addresses and MACs are the ones that are drawn, but for those that were asked for."""
        if not ports:
            yield
            return
        asked = {text.lower() for text in _texts(op)}
        wanted: dict[str, list[IpAddress]] = {}
        ports = sorted(ports, key=lambda port: port["name"])
        for port in ports:
            for each in port["fixed_ips"]:
                if each["subnet_id"].startswith("$") and each["ip_address"] not in asked:
                    address = ip_address(each["ip_address"])
                    wanted.setdefault(self._names.id_of(each["subnet_id"]), []).append(address)
        drawn = [port["mac_address"] for port in ports if port["mac_address"] not in asked] or [ports[0]["mac_address"]]
        take_next, draw = addresses.take_next, macs.MacGenerator.draw

        def follow(tx: Transaction, subnet_id: str) -> IpAddress | None:
            for address in wanted.get(subnet_id, ()):
                if _is_free(tx, subnet_id, address):
                    addresses.take(tx, subnet_id, address)
                    return address
            return None

        addresses.take_next = follow
        macs.MacGenerator.draw = lambda _self: drawn.pop(0) if len(drawn) > 1 else drawn[0]  # type: ignore[method-assign]
        try:
            yield
        finally:
            addresses.take_next, macs.MacGenerator.draw = take_next, draw  # type: ignore[method-assign]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_free(tx: Transaction, subnet_id: str, address: IpAddress) -> bool:
    mine = free_ranges.c.subnet_id == subnet_id
    held = sa.select(free_ranges.c.first).where(mine, free_ranges.c.first <= address, free_ranges.c.last >= address)
    return tx.execute(held).first() is not None


def _texts(value: Any) -> Iterator[str]:
    """All texts in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _attributes(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace(":", "_"): value for key, value in body.items()}


def _plain(made: Any) -> dict[str, Any]:
    """A thing of ours as Neutron's API would show it."""
    values: dict[str, Any] = json.loads(msgspec.json.encode(made))
    for name in [name for name in values if name.startswith(("binding_", "provider_", "router_external"))]:
        values[name.replace("_", ":", 1)] = values.pop(name)
    if "binding:profile" in values:
        values["binding:profile"] = json.loads(values["binding:profile"])
    return values
