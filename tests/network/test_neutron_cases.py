"""Requests and what a real Neutron answered to them; where a case has "ours", that is what the embedded network does.

`SLIPWAY_NEUTRON_CASES` names another file of the same form.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields, replace

from slipway import errors
from slipway.drivers.network.embedded.addressing.addresses import eui64
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, Network, Port, Subnet
from slipway.model.neutron import ADMIN
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.settings import Settings
from slipway.states.schema import hosts
from slipway.states.store import Store, Transaction
from tests.network import words

HERE = [Path(__file__).with_name(f"neutron-{name}-cases.json") for name in ("port", "more", "29", "l3")]
ELSEWHERE = os.environ.get("SLIPWAY_NEUTRON_CASES")
FILES = [json.loads(path.read_text()) for path in ([Path(ELSEWHERE)] if ELSEWHERE else HERE)]
CASES = [case for file in FILES for case in file["cases"]]
L3_CASES = [case for file in FILES if "router" in file.get("meta", {}).get("legend", "") for case in file["cases"]]
"""What the later cases say of an address is said of it in every answer, not only in that to whoever asked for it."""

_quotas: dict[str, Any] = {field.name: -1 for field in fields(Settings) if field.name.startswith("quota_")}
UNLIMITED = Settings(**_quotas)
QUOTA_OPS = ("set_quota", "delete_quota", "get_quota", "quota_details")
NOT_OURS = ("binding:vif_details", "mac_given", "dns_assignment")
"""What the outcomes say besides: details that no part of Slipway asks for, and what the oracle itself found out."""


@pytest.fixture(scope="module")
def cases_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('cases') / 'slipway.db'}", synchronous="OFF")
    EmbeddedNetwork(store, UNLIMITED)
    host = {"name": "host1", "spec": b"", "enabled": True, "vcpus_limit": 0, "memory_limit": 0, "disk_limit": 0}
    with store.write() as tx:
        tx.execute(hosts.insert(), host)
    yield store
    store.close()


def in_order(ip: str) -> int:
    return int(ipaddress.ip_address(ip))


class RolledBack(Exception):
    """Each case leaves the database as it was."""


class Case:
    """Runs the operations of one case in one transaction, and describes what came of them as the oracle does."""

    def __init__(self, store: Store, tx: Transaction, *, remembers: bool) -> None:
        self.store, self.tx = store, tx
        self.settings = replace(UNLIMITED, dns_domain="cloud.example.") if remembers else UNLIMITED
        self.driver = EmbeddedNetwork(store, self.settings)
        self.project = "case"
        self.names: dict[str, str] = {}
        self.bodies: dict[str, Any] = {}
        self.remembers = remembers
        self.asked: set[str] = set()
        """The addresses of gateways and floating IPs that were asked for by now."""
        self.asked_of: dict[str, set[str]] = {}
        """Those of ports, where the cases remember them from one request to the next."""

    def run(self, op: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, "result": self._run(op)}
        except errors.NetworkError as error:
            return {"ok": False, "error": type(error).__name__, "status": error.status}

    def _run(self, op: dict[str, Any]) -> Any:
        kind = op["op"]
        if kind == "config":
            self.settings = replace(self.settings, **{op["key"]: op["value"]})
            self.driver = EmbeddedNetwork(self.store, self.settings)
            return None
        context = Context(op.get("project", self.project), is_admin=not op.get("member", False))
        if "port" not in kind:
            self.asked |= set(words.texts(self._attributes(op.get("body", {}))))
        if kind in QUOTA_OPS:
            return self._quota(kind, op, context)
        if kind in ("repeat", "fill_subnet"):
            return self._repeat(op)
        if kind == "bulk_create_port":
            made = self.driver.create_ports(context, [self._attributes(body) for body in op["bodies"]], tx=self.tx)
            return [self._describe(port, {}) for port in made]
        if kind == "bind_port":
            body = {"binding:host_id": op["host"]}
            body |= {key: op[key] for key in ("device_id", "device_owner", "binding:vnic_type") if key in op}
            op, kind = op | {"body": body}, "update_port"
        return self._call(kind, op, context)

    def _quota(self, kind: str, op: dict[str, Any], context: Context) -> Any:
        if kind == "set_quota":
            self.driver.set_quotas(context, self.project, tx=self.tx, **op["body"])
            return None
        if kind == "delete_quota":
            self.driver.delete_quota(context, self.project, tx=self.tx)
            return None
        quota = self.driver.show_quota(context, self.project, tx=self.tx)
        if kind == "get_quota":
            return {key: getattr(quota, key) for key in op["keys"]}
        # What is being made in our database is counted when it is there.
        return {
            key: {"limit": getattr(quota, key), "used": getattr(quota.used, key), "reserved": 0} for key in op["keys"]
        }

    def _call(self, kind: str, op: dict[str, Any], context: Context) -> Any:
        verb, _, resource = kind.partition("_")
        body = self._attributes(op.get("body", {}))
        above = [self._refer(op["floatingip"])] if "floatingip" in op else []
        if verb == "list":
            filters = {
                key: words.plain_flag(key, value) for key, value in self._attributes(op.get("filters", {})).items()
            }
            found = getattr(self.driver, f"list_{resource}s")(context, *above, tx=self.tx, **filters)
            return {"n": len(found), "items": [self._describe(each, {}) for each in found][:20]}
        method = getattr(self.driver, ("show" if verb == "get" else verb) + "_" + resource, None)
        if method is None:
            raise errors.HTTPNotFound(f"{kind}: there is no such call")
        if verb == "create":
            if resource != "port_forwarding":
                body.setdefault("project_id", context.project_id)
            made = method(context, *above, tx=self.tx, **body)
        else:
            made = method(context, *above, self._refer(op["id"]), tx=self.tx, **body)
        if made is None:
            return None
        if isinstance(made, RouterInterface):
            return self._interface(made, op)
        name = op.get("as") or op.get("id", "").removeprefix("$")
        self.names[name], self.bodies[name] = made.id, json.loads(msgspec.json.encode(made))
        return self._describe(made, body)

    def _interface(self, made: RouterInterface, op: dict[str, Any]) -> dict[str, Any]:
        """What was added to a router or removed, with the port that was added."""
        found: dict[str, Any] = {
            "router": self.name_of(made.id),
            "subnets": sorted(self.name_of(each) for each in made.subnet_ids),
        }
        if op["op"] == "add_router_interface":
            port = self.driver.show_port(ADMIN, made.port_id, tx=self.tx)
            if "as" in op:
                self.names[op["as"]], self.bodies[op["as"]] = port.id, json.loads(msgspec.json.encode(port))
            if "subnet_id" in op["body"]:
                subnets = [self.driver.show_subnet(ADMIN, each.subnet_id, tx=self.tx) for each in port.fixed_ips]
                gateways = {subnet.gateway_ip for subnet in subnets if subnet.gateway_ip}
                self.asked_of[port.id] = self.asked_of.get(port.id, set()) | gateways
            found["port"] = self._port(port, {})
        return found

    def name_of(self, id_: str) -> str:
        """The name that the case has given it, as `$name`."""
        return next((f"${name}" for name, known in self.names.items() if known == id_), "<other>")

    def _repeat(self, op: dict[str, Any]) -> dict[str, Any]:
        do = op["do"] if op["op"] == "repeat" else {"op": "create_port", "body": {"network_id": op["network"]}}
        outcomes: dict[str, int] = {}
        ips: list[str] = []
        for _ in range(op.get("times", op.get("n", 0))):
            got = self.run(do)
            key = "ok" if got["ok"] else got["error"]
            outcomes[key] = outcomes.get(key, 0) + 1
            if got["ok"]:
                ips += [each["ip"] for each in got["result"]["fixed_ips"]]
        return {
            "outcomes": outcomes,
            "ips": len(ips),
            "distinct_ips": len(set(ips)),
            "all_ips": sorted(ips, key=in_order),
        }

    def _attributes(self, body: dict[str, Any]) -> dict[str, Any]:
        return {key.replace(":", "_"): self._refer(value) for key, value in body.items()}

    def _refer(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._refer(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._refer(each) for each in value]
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        name, *path = value[1:].split(".")
        if not path:
            return self.names.get(name, value)
        found = self.bodies[name]
        for part in path:
            found = found[int(part)] if isinstance(found, (list, tuple)) else found[part]
        return found

    # --- what came of it, in the oracle's words -----------------------------------------------------------------

    def _describe(self, made: Any, sent: dict[str, Any]) -> dict[str, Any]:
        if isinstance(made, Port):
            return self._port(made, sent)
        if isinstance(made, Router):
            return self._router(made)
        if isinstance(made, FloatingIp):
            return self._floating_ip(made)
        if isinstance(made, PortForwarding):
            values = json.loads(msgspec.json.encode(made)) | {"internal_port_is": self.name_of(made.internal_port_id)}
            return {key: value for key, value in values.items() if value not in (None, "")}
        values = json.loads(msgspec.json.encode(made))
        if isinstance(made, Network):
            values["n_subnets"] = len(made.subnets)
        return {re.sub("^(provider|router)_", r"\1:", key): value for key, value in values.items()}

    def _port(self, port: Port, sent: dict[str, Any]) -> dict[str, Any]:
        given = sent.get("fixed_ips")
        asked = {each["ip_address"] for each in given if "ip_address" in each} if isinstance(given, list) else set()
        if self.remembers:
            asked = self.asked_of[port.id] = self.asked_of.get(port.id, set()) | asked
        values = {
            re.sub("^(binding)_", r"\1:", key): value for key, value in json.loads(msgspec.json.encode(port)).items()
        }
        return values | {
            "mac": port.mac_address,
            "binding:profile": json.loads(port.binding_profile),
            "device_id": words.without_id(self.name_of(port.device_id), port.device_id),
            "fixed_ips": [
                self._address(each.subnet_id, each.ip_address, asked, port.mac_address) for each in port.fixed_ips
            ],
            "security_groups": sorted(self._group(group) for group in port.security_groups),
        }

    def _group(self, group_id: str) -> str:
        for name, known in self.names.items():
            if known == group_id:
                return f"${name}"
        return self.driver.show_security_group(ADMIN, group_id, tx=self.tx).name

    def _router(self, router: Router) -> dict[str, Any]:
        gateway = router.external_gateway_info
        values: dict[str, Any] = json.loads(msgspec.json.encode(router))
        if gateway is not None:
            addresses = [
                self._address(each.subnet_id, each.ip_address, self.asked) for each in gateway.external_fixed_ips
            ]
            values["external_gateway_info"] = {
                "network": self.name_of(gateway.network_id),
                "enable_snat": gateway.enable_snat,
                "external_fixed_ips": addresses,
            }
        return values

    def _floating_ip(self, fip: FloatingIp) -> dict[str, Any]:
        subnets = self.driver.list_subnets(ADMIN, network_id=fip.floating_network_id, tx=self.tx)
        address = ipaddress.ip_address(fip.floating_ip_address)
        subnet = next(each for each in subnets if address in ipaddress.ip_network(each.cidr))
        values: dict[str, Any] = json.loads(msgspec.json.encode(fip))
        return values | {
            "network": self.name_of(fip.floating_network_id),
            "floating": self._address(subnet.id, fip.floating_ip_address, self.asked),
            "port": fip.port_id and self.name_of(fip.port_id),
            "router": fip.router_id and self.name_of(fip.router_id),
        }

    def _address(self, subnet_id: str, text: str, asked: set[str], mac: str = "00:00:00:00:00:00") -> dict[str, Any]:
        subnet: Subnet = self.driver.show_subnet(ADMIN, subnet_id, tx=self.tx)
        ip = ipaddress.ip_address(text)
        pools = [(ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)) for pool in subnet.allocation_pools]
        how = "requested" if any(words.is_address(each, ip) for each in asked) else "auto"
        if ip.version == 6 and ip == eui64(str(ipaddress.ip_network((ip, 64), strict=False)), mac):
            how = "eui64"
        return {
            "subnet": self.name_of(subnet_id),
            "ip": text,
            "in_cidr": ip in ipaddress.ip_network(subnet.cidr),
            "in_pool": any(int(first) <= int(ip) <= int(last) for first, last in pools),
            "is_gateway": subnet.gateway_ip is not None and ip == ipaddress.ip_address(subnet.gateway_ip),
            "how": how,
        }


def same_words(result: Any, expected: Any) -> Any:
    """The result with only what the expected one says, and both without what is drawn at random."""
    if isinstance(expected, list):
        return [same_words(each, other) for each, other in zip(result, expected, strict=False)] + result[
            len(expected) :
        ]
    if not isinstance(expected, dict):
        return result
    return {key: same_words(result.get(key), value) for key, value in expected.items()}


def by_kind(address: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(address.get(name) for name in ("how", "subnet", "in_pool", "is_gateway", "ip"))


def without_chance(result: Any, *, keep_mac: bool) -> Any:
    """The description without what is drawn at random: automatic addresses and MACs."""
    if isinstance(result, list):
        return [without_chance(each, keep_mac=keep_mac) for each in result]
    if not isinstance(result, dict):
        return result
    plain = {key: without_chance(value, keep_mac=keep_mac) for key, value in result.items() if key not in NOT_OURS}
    for name in ("fixed_ips", "external_fixed_ips"):
        if isinstance(plain.get(name), list):
            plain[name] = sorted(plain[name], key=by_kind)
    if plain.get("how") == "auto" or (plain.get("how") == "eui64" and not keep_mac):
        plain["ip"] = "*"
    if "all_ips" in plain and "IpAddressGenerationFailure" not in plain["outcomes"]:
        del plain["all_ips"]
    for pair in plain.get("allowed_address_pairs") or ():
        if pair["mac_address"] == plain["mac"]:
            pair["mac_address"] = "its own"
    if not keep_mac:
        plain.pop("mac", None)
    for name in ("provider:network_type", "provider:physical_network", "provider:segmentation_id"):
        plain.pop(name, None)
    return plain


def expected_of(case: dict[str, Any], index: int) -> dict[str, Any]:
    """The outcome of the case's operation; of the last one that "ours" is about, ours."""
    outcome: dict[str, Any] = case["outcome"][index]
    ours, probes = case.get("ours"), [place for place, op in enumerate(case["ops"]) if op.get("probe")]
    if ours and "second request refused" in ours and index == probes[1]:
        return {"ok": False, "status": 400, "error": "DuplicateAddressPairInRequest"}
    if ours is None or index != probes[0] or ours.startswith("refused: "):
        return outcome
    if match := re.match(r"ERR (\d+) (\w+)", ours):
        return {"ok": False, "status": int(match[1]), "error": match[2]}
    if match := re.match(r"accepted and stored as (\S+)", ours):
        return outcome | {"result": outcome["result"] | {"mac": match[1], "mac_given": True}}
    if ours == "gateway null":
        return outcome | {"result": outcome["result"] | {"gateway_ip": None}}
    assert ours.startswith("ok"), ours
    return {"ok": True}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], cases_store: Store) -> None:
    if case.get("ours") == "refused when the configuration is read":
        with pytest.raises(errors.HTTPBadRequest):
            EmbeddedNetwork(cases_store, replace(UNLIMITED, **{case["ops"][0]["key"]: case["ops"][0]["value"]}))
        return
    with suppress(RolledBack), cases_store.write() as tx:
        runner = Case(cases_store, tx, remembers=case in L3_CASES)
        for index, op in enumerate(case["ops"]):
            got, expected = runner.run(op), expected_of(case, index)
            if case.get("ours", "").startswith("refused: ") and not got["ok"] and expected["ok"]:
                raise RolledBack
            check(got, expected, op)
        assert not case.get("ours", "").startswith("refused: ")
        raise RolledBack


def check(got: dict[str, Any], expected: dict[str, Any], op: dict[str, Any]) -> None:
    assert got["ok"] == expected["ok"], (op, got, expected)
    if not got["ok"]:
        assert (got["error"], got["status"]) == (expected["error"], expected["status"]), op
    elif "result" in expected and expected["result"] is not None:
        wanted = expected["result"]
        keep_mac = isinstance(wanted, dict) and wanted.get("mac_given", False)
        wanted = without_chance(wanted, keep_mac=keep_mac)
        found = without_chance(got["result"], keep_mac=keep_mac)
        if isinstance(wanted, dict) and "items" in wanted and "sort_key" not in op.get("filters", {}):
            found["items"] = (
                [same_words(each, wanted["items"][0]) for each in found["items"]] if wanted["items"] else []
            )
            found["items"], wanted["items"] = words.in_order(found["items"]), words.in_order(wanted["items"])
        assert same_words(found, wanted) == wanted
