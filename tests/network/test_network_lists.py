"""Lists: what a project sees, filters, order and pages; and quotas, names and other small rules."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context, FixedIp, Network
from slipway.settings import Settings
from slipway.states.store import Store

MINE, OTHERS = Context("mine"), Context("others")


class SameAgain(random.SystemRandom):
    """Draws the same MAC each time."""

    def randbytes(self, n: int) -> bytes:
        return b"\x01" * n


def test_a_project_sees_its_own_and_shared_networks(driver: EmbeddedNetwork, admin: Context) -> None:
    mine = driver.create_network(MINE, name="b")
    theirs = driver.create_network(OTHERS, name="a")
    shared = driver.create_network(admin, name="c", shared=True)
    assert driver.list_networks(MINE) == (mine, shared)
    assert driver.list_networks(admin) == (theirs, mine, shared)
    with pytest.raises(errors.NetworkNotFound):
        driver.show_network(MINE, theirs.id)
    with pytest.raises(errors.NetworkNotFound):
        driver.create_port(MINE, network_id=theirs.id)


def test_ports_are_seen_by_their_owner_and_the_networks_owner(driver: EmbeddedNetwork, admin: Context) -> None:
    shared = driver.create_network(admin, name="net", shared=True, project_id="owner")
    port = driver.create_port(MINE, network_id=shared.id, key="k")
    for context in (MINE, Context("owner"), admin):
        assert driver.list_ports(context) == (port,)
        assert driver.find_port(context, "k") == port
    assert driver.list_ports(OTHERS) == ()
    with pytest.raises(errors.PortNotFound):
        driver.show_port(OTHERS, port.id)
    with pytest.raises(errors.PortNotFound):
        driver.delete_port(OTHERS, port.id)


def test_filters(driver: EmbeddedNetwork, admin: Context) -> None:
    net, other = driver.create_network(admin, name="net"), driver.create_network(admin, name="other")
    subnet = driver.create_subnet(admin, network_id=net.id, cidr="10.0.0.0/24", ip_version=4)
    group = driver.create_security_group(admin, name="web")
    a = driver.create_port(admin, network_id=net.id, name="a", fixed_ips=[{"ip_address": "10.0.0.9"}])
    b = driver.create_port(admin, network_id=net.id, name="b", device_id="vm", security_groups=[group.id])
    c = driver.create_port(admin, network_id=other.id, name="c", device_id="vm")
    assert driver.list_ports(admin, ip_address="10.0.0.9") == (a,)
    assert driver.list_ports(admin, ip_address="10.0.0.10") == ()
    assert driver.list_ports(admin, subnet_id=subnet.id, device_id="vm") == (b,)
    assert driver.list_ports(admin, security_group=group.id) == (b,)
    assert driver.list_ports(admin, name=["a", "c"]) == (a, c)
    assert driver.list_ports(admin, network_id=net.id, name="c") == ()
    assert driver.list_networks(admin, name="net") == (replace(net, subnets=(subnet.id,)),)
    assert driver.list_subnets(admin, network_id=other.id) == ()
    with pytest.raises(errors.HTTPBadRequest, match="colour"):
        driver.list_ports(admin, colour="red")
    with pytest.raises(errors.HTTPBadRequest, match="ip_address"):
        driver.list_ports(admin, ip_address="10.0.0")


def test_pages_together_are_the_list(driver: EmbeddedNetwork, admin: Context) -> None:
    for name in "fcadbeabc":
        driver.create_network(admin, name=name)
    for direction in ("asc", "desc"):
        whole = driver.list_networks(admin, sort_dir=direction)
        assert [each.name for each in whole] == sorted("fcadbeabc", reverse=direction == "desc")
        found: list[Network] = []
        marker = None
        while part := driver.list_networks(admin, sort_key="name", sort_dir=direction, limit=2, marker=marker):
            assert len(part) <= 2
            found += part
            marker = part[-1].id
        assert found == list(whole)


def test_pages_that_make_no_sense(driver: EmbeddedNetwork, admin: Context) -> None:
    with pytest.raises(errors.NotFound):
        driver.list_ports(admin, marker="11111111-2222-3333-4444-555555555555")
    with pytest.raises(errors.HTTPBadRequest):
        driver.list_ports(admin, sort_key="colour")
    with pytest.raises(errors.HTTPBadRequest):
        driver.list_ports(admin, sort_dir="up")
    with pytest.raises(errors.BadRequest):
        driver.list_ports(admin, limit=-1)


def test_ports_are_found_by_a_part_of_an_address(driver: EmbeddedNetwork, admin: Context) -> None:
    """Neutron: the part may be anywhere; but here `_` and `%` are themselves."""
    net = driver.create_network(admin, name="net")
    for cidr in ("10.0.0.0/24", "110.0.0.0/24", "2001:db8::/64"):
        version = 6 if ":" in cidr else 4
        driver.create_subnet(admin, network_id=net.id, cidr=cidr, ip_version=version, gateway_ip=None)
    for address in ("10.0.0.1", "10.0.0.10", "110.0.0.1", "10.0.0.2", "2001:db8::a1"):
        driver.create_port(admin, network_id=net.id, fixed_ips=[{"ip_address": address}])

    def found(parts: str | list[str], **more: Any) -> list[str]:
        return [port.fixed_ips[0].ip_address for port in driver.list_ports(admin, ip_address_substr=parts, **more)]

    assert found("10.0.0.1") == ["10.0.0.1", "10.0.0.10", "110.0.0.1"]
    assert found(["0.10", "0.2"]) == ["10.0.0.10", "10.0.0.2"]
    assert found("DB8::A") == ["2001:db8::a1"]
    assert found("10_0") == found("%") == []
    _, second = driver.list_ports(admin, ip_address_substr="10.0.0.1", limit=2)
    assert found("10.0.0.1", limit=2) == ["10.0.0.1", "10.0.0.10"]
    assert found("10.0.0.1", marker=second.id) == ["110.0.0.1"]
    assert found("10.0.0.1", device_id="nobody") == []
    with pytest.raises(errors.HTTPBadRequest):
        found(5)  # type: ignore[arg-type]


def test_quotas_of_a_project(driver: EmbeddedNetwork, admin: Context) -> None:
    driver.set_quotas(admin, "mine", network=1)
    driver.create_network(MINE, name="a")
    driver.create_network(OTHERS, name="a")
    with pytest.raises(errors.OverQuota):
        driver.create_network(MINE, name="b")
    driver.set_quotas(admin, "mine", network=-1)
    driver.create_network(MINE, name="b")
    driver.delete_quota(admin, "mine")
    driver.create_network(MINE, name="c")
    with pytest.raises(errors.HTTPBadRequest):
        driver.set_quotas(admin, "mine", colour=1)
    for limit in (-2, 2**31):
        with pytest.raises(errors.HTTPBadRequest, match="network"):
            driver.set_quotas(admin, "mine", network=limit)
    with pytest.raises(errors.HTTPBadRequest, match="port"):
        driver.set_quotas(admin, "mine", network=5, port=-2)
    assert driver.list_quotas(admin) == ()
    assert driver.show_quota(MINE, "mine").network == Settings().quota_network
    with pytest.raises(errors.PolicyNotAuthorized):
        driver.set_quotas(MINE, "mine", network=5)


def test_a_quota_below_use_needs_force(driver: EmbeddedNetwork, admin: Context) -> None:
    """And of several limits none is set where one is refused."""
    for name in "abc":
        driver.create_network(MINE, name=name)
    with pytest.raises(errors.HTTPBadRequest, match="network: 2 is less than the 3"):
        driver.set_quotas(admin, "mine", port=7, network=2)
    for unforced in (None, 1, "true"):
        with pytest.raises(errors.HTTPBadRequest, match="force"):
            driver.set_quotas(admin, "mine", network=2, force=unforced)  # type: ignore[arg-type]
    assert driver.list_quotas(admin) == ()
    assert driver.set_quotas(admin, "mine", network=3).network == 3
    assert driver.set_quotas(admin, "mine", network=2, force=True).network == 2
    with pytest.raises(errors.OverQuota):
        driver.create_network(MINE, name="d")
    with pytest.raises(errors.HTTPBadRequest):
        driver.set_quotas(admin, "mine", network=2)


def test_a_rule_of_any_protocol_is_found_by_that_name(driver: EmbeddedNetwork, admin: Context) -> None:
    group = driver.create_security_group(MINE, name="g")
    wanted: dict[str, Any] = {"security_group_id": group.id, "direction": "ingress"}
    rule = driver.create_security_group_rule(MINE, protocol="any", **wanted)
    other = driver.create_security_group_rule(MINE, protocol="tcp", **wanted)
    assert (rule.protocol, other.protocol) == (None, "tcp")
    assert [r.id for r in driver.list_security_group_rules(MINE, protocol="any", **wanted)] == [rule.id]
    both = driver.list_security_group_rules(MINE, protocol=["any", "tcp"], **wanted)
    assert [r.id for r in both] == [rule.id, other.id]


def test_subnets_come_in_the_order_in_which_they_were_made(driver: EmbeddedNetwork, admin: Context) -> None:
    network = driver.create_network(admin, name="net")
    cidrs = [f"10.0.{number}.0/24" for number in (5, 3, 9, 1)]
    for cidr in cidrs:
        driver.create_subnet(admin, network_id=network.id, cidr=cidr, ip_version=4)
    assert [subnet.cidr for subnet in driver.list_subnets(admin, network_id=network.id)] == cidrs
    assert [subnet.cidr for subnet in driver.list_subnets(admin)] == cidrs


def test_every_project_has_its_default_group(driver: EmbeddedNetwork) -> None:
    (group,) = driver.list_security_groups(MINE)
    assert (group.name, group.project_id) == ("default", "mine")
    assert [(rule.direction, rule.ethertype, rule.remote_group_id) for rule in group.rules] == [
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group.id),
        ("ingress", "IPv6", group.id),
    ]
    assert driver.list_security_groups(MINE, name="default") == (group,)
    assert driver.list_security_groups(MINE, name="web") == ()


def test_rules_of_groups(driver: EmbeddedNetwork) -> None:
    group = driver.create_security_group(MINE, name="web")
    ask: dict[str, Any] = {"security_group_id": group.id, "direction": "ingress", "protocol": "tcp"}
    rule = driver.create_security_group_rule(MINE, **ask, port_range_min=80, port_range_max=80)
    assert driver.show_security_group(MINE, group.id).rules == (*group.rules, rule)
    with pytest.raises(errors.SecurityGroupRuleExists):
        driver.create_security_group_rule(MINE, **ask, port_range_min=80, port_range_max=80)
    for wrong in (
        {"port_range_min": 90, "port_range_max": 80},
        {"port_range_min": 80},
        {"protocol": None, "port_range_min": 80, "port_range_max": 80},
        {"remote_ip_prefix": "2001:db8::/64"},
        {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group.id},
        {"protocol": "icmp", "port_range_max": 0},
        {"protocol": "no such"},
    ):
        with pytest.raises(errors.InvalidInput):
            driver.create_security_group_rule(MINE, **ask | wrong)
    with pytest.raises(errors.SecurityGroupNotFound):
        driver.create_security_group_rule(OTHERS, **ask)
    driver.delete_security_group_rule(MINE, rule.id)
    with pytest.raises(errors.SecurityGroupRuleNotFound):
        driver.delete_security_group_rule(MINE, rule.id)
    driver.delete_security_group(MINE, group.id)


@pytest.mark.parametrize("name", ["web", "WEB.Example.org", "a-b.c", "x.", ""])
def test_dns_names(driver: EmbeddedNetwork, admin: Context, name: str) -> None:
    network = driver.create_network(admin, name="net")
    assert driver.create_port(admin, network_id=network.id, dns_name=name).dns_name == name.lower()


@pytest.mark.parametrize("name", ["-web", "web-", "a..b", "a b", "x" * 64, "a.1", "ü"])
def test_names_that_are_no_dns_names(driver: EmbeddedNetwork, admin: Context, name: str) -> None:
    network = driver.create_network(admin, name="net")
    with pytest.raises(errors.HTTPBadRequest):
        driver.create_port(admin, network_id=network.id, dns_name=name)


def test_no_more_fixed_ips_than_the_setting_allows(store: Store, admin: Context) -> None:
    driver = EmbeddedNetwork(store, Settings(max_fixed_ips_per_port=2))
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/24", ip_version=4)
    three = [{"subnet_id": subnet.id}] * 3
    with pytest.raises(errors.InvalidInput):
        driver.create_port(admin, network_id=network.id, fixed_ips=three)
    port = driver.create_port(admin, network_id=network.id, fixed_ips=three[:2])
    with pytest.raises(errors.InvalidInput):
        driver.update_port(admin, port.id, fixed_ips=three)
    driver.create_port(admin, network_id=network.id, fixed_ips=three, device_owner="network:router_interface")


def test_no_free_mac_is_found(store: Store, admin: Context) -> None:
    driver = EmbeddedNetwork(store, Settings(mac_generation_retries=1), rng=SameAgain())
    network = driver.create_network(admin, name="net")
    driver.create_port(admin, network_id=network.id)
    with pytest.raises(errors.MacAddressGenerationFailure):
        driver.create_port(admin, network_id=network.id)
    assert len(driver.list_ports(admin)) == 1


def test_addresses_are_those_asked_for_in_that_order(driver: EmbeddedNetwork, admin: Context) -> None:
    network = driver.create_network(admin, name="net")
    subnet = driver.create_subnet(admin, network_id=network.id, cidr="10.0.0.0/24", ip_version=4)
    asked = [{"subnet_id": subnet.id}, {"ip_address": "10.0.0.2"}]
    port = driver.create_port(admin, network_id=network.id, fixed_ips=asked)
    assert port.fixed_ips == (FixedIp(subnet.id, "10.0.0.3"), FixedIp(subnet.id, "10.0.0.2"))
    assert driver.show_port(admin, port.id) == port


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.IpAddressAlreadyAllocated, errors.IpAddressInUse),
        (errors.AllocationOnAutoAddressSubnet, errors.InvalidInput),
        (errors.PolicyNotAuthorized, errors.AbortBuild),
        (errors.PortBound, errors.AbortBuild),
        (errors.MechanismDriverError, errors.RescheduleBuild),
        (errors.IpAddressGenerationFailureNoMatchingSubnet, errors.IpAddressGenerationFailure),
    ],
)
def test_the_class_decides_what_becomes_of_a_build(kind: type[Exception], base: type[Exception]) -> None:
    assert issubclass(kind, base)
