"""Every operation of `Orchestrator.network`, as an embedding program calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway import Context, NetworkEvent, Orchestrator, errors
from slipway.drivers.registry import Drivers
from slipway.model.network import AddressPair, AllocationPool, DhcpOption, HostRoute, Network, Port, QuotaUse, Subnet
from slipway.networks import Networks
from slipway.networks.attributes import Ipv6Mode
from slipway.runfile import loads

NOBODY = "11111111-2222-3333-4444-555555555555"
MINE, OTHERS = Context("mine"), Context("others")


@pytest.fixture
def net(network: Networks) -> Network:
    return network.create_network(name="net")


@pytest.fixture
def subnet(network: Networks, net: Network) -> Subnet:
    return network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24", name="sub")


def addresses(port: Port) -> list[str]:
    return [ip.ip_address for ip in port.fixed_ips]


# --- networks and subnets -----------------------------------------------------------------------------------------


def test_networks(network: Networks) -> None:
    made = network.create_network(
        name="a",
        description="first",
        mtu=1400,
        admin_state_up=False,
        port_security_enabled=False,
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=7,
    )
    assert (made.project_id, made.mtu, made.provider_segmentation_id, made.status) == ("mine", 1400, 7, "ACTIVE")
    assert network.show_network(made.id) == made
    changed = network.update_network(made.id, name="b", shared=True, router_external=True, mtu=0)
    assert (changed.name, changed.shared, changed.router_external, changed.mtu) == ("b", True, True, 1500)
    assert changed.description == "first"
    assert network.list_networks(name="b", shared=True) == (changed,)
    assert network.list_networks(name=["b", "c"], provider_network_type="vlan") == (changed,)
    assert network.list_networks(name="a") == ()
    network.delete_network(made.id)
    with pytest.raises(errors.NetworkNotFound):
        network.show_network(made.id)


def test_subnets(network: Networks, net: Network) -> None:
    made = network.create_subnet(
        network_id=net.id,
        ip_version=4,
        cidr="10.0.0.0/24",
        name="s",
        gateway_ip="10.0.0.254",
        allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}],
        dns_nameservers=["10.0.0.2"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}],
        enable_dhcp=False,
        service_types=["compute:nova"],
    )
    assert made.allocation_pools == (AllocationPool("10.0.0.10", "10.0.0.20"),)
    assert made.host_routes == (HostRoute("10.9.0.0/16", "10.0.0.7"),)
    assert (made.gateway_ip, made.enable_dhcp, made.service_types) == ("10.0.0.254", False, ("compute:nova",))
    assert network.show_subnet(made.id) == made
    changed = network.update_subnet(made.id, name="t", gateway_ip=None, dns_nameservers=[])
    assert (changed.name, changed.gateway_ip, changed.dns_nameservers) == ("t", None, ())
    assert network.list_subnets(network_id=net.id, ip_version=4) == (changed,)
    assert network.show_network(net.id).subnets == (made.id,)
    network.delete_subnet(made.id)
    with pytest.raises(errors.SubnetNotFound):
        network.show_subnet(made.id)


def test_an_mtu_is_for_all_subnets(network: Networks, net: Network, subnet: Subnet) -> None:
    assert network.update_network(net.id, mtu=68).mtu == 68
    for mtu in (67, 0):
        with pytest.raises(errors.NetworkMTUSubnetConflict, match=f"{mtu} is below 68"):
            network.update_network(net.id, mtu=mtu)
    network.delete_subnet(subnet.id)
    assert network.update_network(net.id, mtu=0).mtu == 1500


def test_no_gateway_is_not_the_same_as_nothing_said_of_it(network: Networks, net: Network) -> None:
    said = network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24", gateway_ip=None)
    unsaid = network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.1.0/24")
    assert (said.gateway_ip, unsaid.gateway_ip) == (None, "10.0.1.1")
    assert network.update_subnet(unsaid.id, name="x").gateway_ip == "10.0.1.1"


@pytest.mark.parametrize(
    ("mode", "from_mac"), [("slaac", True), ("dhcpv6-stateless", True), ("dhcpv6-stateful", False), (None, False)]
)
def test_ipv6(network: Networks, net: Network, mode: Ipv6Mode | None, *, from_mac: bool) -> None:
    network.create_subnet(
        network_id=net.id,
        ip_version=6,
        cidr="2001:db8::/64",
        ipv6_ra_mode=mode,
        ipv6_address_mode=mode,
    )
    port = network.create_port(network_id=net.id, mac_address="fa:16:3e:11:22:33")
    assert (addresses(port) == ["2001:db8::f816:3eff:fe11:2233"]) is from_mac
    assert len(port.fixed_ips) == 1


# --- ports --------------------------------------------------------------------------------------------------------


def test_ports(network: Networks, net: Network, subnet: Subnet) -> None:
    group = network.create_security_group(name="web")
    made = network.create_port(
        network_id=net.id,
        name="p",
        fixed_ips=[{"subnet_id": subnet.id, "ip_address": "10.0.0.9"}, {"subnet_id": subnet.id}],
        mac_address="FA-16-3E-00-00-01",
        device_id="vm",
        device_owner="compute:nova",
        security_groups=[group.id],
        allowed_address_pairs=[{"ip_address": "10.7.0.0/16", "mac_address": "fa:16:3e:99:99:99"}],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}],
        admin_state_up=False,
        dns_name="web",
        description="d",
        binding_profile={"a": [1, {"b": None}]},
    )
    assert addresses(made)[0] == "10.0.0.9"
    assert len(made.fixed_ips) == 2
    assert made.mac_address == "fa:16:3e:00:00:01"
    assert made.security_groups == (group.id,)
    assert made.allowed_address_pairs == (AddressPair("10.7.0.0/16", "fa:16:3e:99:99:99"),)
    assert made.extra_dhcp_opts == (DhcpOption("mtu", "1400"),)
    assert json.loads(made.binding_profile) == {"a": [1, {"b": None}]}
    assert (made.device_id, made.device_owner, made.dns_name) == ("vm", "compute:nova", "web")
    assert network.show_port(made.id) == made
    for filters in ({"device_id": "vm"}, {"mac_address": made.mac_address}, {"ip_address": "10.0.0.9"}):
        assert network.list_ports(**filters) == (made,)  # type: ignore[arg-type]
    assert network.list_ports(security_group=group.id, subnet_id=subnet.id, network_id=net.id) == (made,)
    network.delete_port(made.id)
    with pytest.raises(errors.PortNotFound):
        network.show_port(made.id)


def test_update_port_keeps_adds_and_removes_addresses(network: Networks, net: Network, subnet: Subnet) -> None:
    port = network.create_port(network_id=net.id, fixed_ips=[{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.9"}])
    changed = network.update_port(port.id, fixed_ips=[{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.10"}])
    assert sorted(addresses(changed)) == ["10.0.0.10", "10.0.0.9"]
    other = network.create_port(network_id=net.id, fixed_ips=[{"ip_address": "10.0.0.8"}])
    with pytest.raises(errors.IpAddressAlreadyAllocated, match=r"10\.0\.0\.8"):
        network.update_port(port.id, fixed_ips=[{"ip_address": "10.0.0.8"}])
    assert network.show_port(port.id) == changed
    assert network.update_port(other.id, fixed_ips=[]).fixed_ips == ()
    assert network.update_port(port.id, name="n").fixed_ips == changed.fixed_ips
    assert changed.fixed_ips[0].subnet_id == subnet.id


def test_update_port_binds_and_unbinds(network: Networks, net: Network) -> None:
    port = network.create_port(network_id=net.id)
    bound = network.update_port(port.id, binding_host_id="node-1", device_id="vm", device_owner="compute:nova")
    assert (bound.binding_host_id, bound.binding_vif_type) == ("node-1", "bridge")
    with pytest.raises(errors.PortBound):
        network.update_port(port.id, mac_address="fa:16:3e:00:00:02")
    failed = network.update_port(port.id, binding_host_id="")
    assert (failed.binding_host_id, failed.binding_vif_type) == ("", "unbound")
    assert network.update_port(port.id, binding_vnic_type="direct", binding_host_id="node-1").binding_vif_type == (
        "binding_failed"
    )


def test_port_security_and_groups_of_a_port(network: Networks, net: Network) -> None:
    port = network.create_port(network_id=net.id)
    with pytest.raises(errors.PortSecurityPortHasSecurityGroup):
        network.update_port(port.id, port_security_enabled=False)
    changed = network.update_port(port.id, port_security_enabled=False, security_groups=[])
    assert (changed.port_security_enabled, changed.security_groups) == (False, ())


def test_null_security_groups_are_none_at_all(network: Networks, net: Network) -> None:
    assert network.create_port(network_id=net.id).security_groups != ()
    assert network.create_port(network_id=net.id, security_groups=None).security_groups == ()
    assert network.create_ports([{"network_id": net.id, "security_groups": None}])[0].security_groups == ()


def test_many_ports_or_none(network: Networks, net: Network, subnet: Subnet) -> None:
    made = network.create_ports([{"network_id": net.id, "name": name} for name in ("a", "b", "c")])
    assert [port.name for port in made] == ["a", "b", "c"]
    with pytest.raises(errors.IpAddressAlreadyAllocated):
        network.create_ports(
            [
                {"network_id": net.id},
                {"network_id": net.id, "fixed_ips": [{"ip_address": made[0].fixed_ips[0].ip_address}]},
            ]
        )
    assert network.list_ports(network_id=net.id) == tuple(made)
    assert {ip.subnet_id for port in made for ip in port.fixed_ips} == {subnet.id}


def test_pages(network: Networks, net: Network) -> None:
    made = network.create_ports([{"network_id": net.id, "name": f"p{number}"} for number in range(5)])
    first = network.list_ports(limit=2, sort_key="name")
    assert [port.name for port in first] == ["p0", "p1"]
    rest = network.list_ports(marker=first[-1].id, sort_key="name")
    assert [port.name for port in rest] == ["p2", "p3", "p4"]
    assert [port.name for port in network.list_ports(sort_key="name", sort_dir="desc", limit=1)] == ["p4"]
    with pytest.raises(errors.NotFound):
        network.list_ports(marker=NOBODY)
    assert len(made) == 5


# --- security groups, quotas --------------------------------------------------------------------------------------


def test_security_groups(network: Networks) -> None:
    group = network.create_security_group(name="web", description="d")
    assert [(rule.direction, rule.ethertype) for rule in group.rules] == [("egress", "IPv4"), ("egress", "IPv6")]
    rule = network.create_security_group_rule(
        security_group_id=group.id,
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=81,
        remote_ip_prefix="10.0.0.0/8",
    )
    assert rule in network.show_security_group(group.id).rules
    with pytest.raises(errors.SecurityGroupRuleExists):
        network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=80,
            port_range_max=81,
            remote_ip_prefix="10.0.0.0/8",
        )
    network.delete_security_group_rule(rule.id)
    assert network.show_security_group(group.id) == group
    assert [one.name for one in network.list_security_groups()] == ["default", "web"]
    assert network.list_security_groups(name="web") == (group,)
    network.delete_security_group(group.id)
    with pytest.raises(errors.SecurityGroupNotFound):
        network.show_security_group(group.id)
    with pytest.raises(errors.SecurityGroupRuleNotFound):
        network.delete_security_group_rule(rule.id)


def test_a_security_group_is_changed(network: Networks) -> None:
    group = network.create_security_group(name="web")
    changed = network.update_security_group(group.id, name="www", description="d")
    assert (changed.name, changed.description, changed.rules) == ("www", "d", group.rules)
    with pytest.raises(errors.SecurityGroupDefaultAlreadyExists):
        network.update_security_group(group.id, name="default")
    with pytest.raises(errors.SecurityGroupNotFound):
        network.update_security_group(group.id, context=OTHERS, name="x")
    with pytest.raises(errors.HTTPBadRequest, match="name"):
        network.update_security_group(group.id, name=None)  # type: ignore[arg-type]
    (default,) = network.list_security_groups(name="default")
    with pytest.raises(errors.SecurityGroupCannotUpdateDefault):
        network.update_security_group(default.id, name="x")
    assert network.update_security_group(default.id, description="d").description == "d"


def test_an_address_without_a_length_is_a_rule_for_this_one(network: Networks) -> None:
    group = network.create_security_group()
    rule = network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", remote_ip_prefix="10.0.0.5"
    )
    assert rule.remote_ip_prefix == "10.0.0.5/32"


def test_rules_are_listed_and_shown(network: Networks) -> None:
    group = network.create_security_group(name="web")
    assert network.list_security_group_rules(security_group_id=group.id) == group.rules
    assert network.list_security_group_rules(security_group_id=group.id, ethertype="IPv6") == group.rules[1:]
    assert network.show_security_group_rule(group.rules[0].id) == group.rules[0]
    with pytest.raises(errors.SecurityGroupRuleNotFound):
        network.show_security_group_rule(group.rules[0].id, context=OTHERS)


def test_quotas(network: Networks, net: Network) -> None:
    network.create_port(network_id=net.id)
    shown = network.show_quota()
    assert (shown.project_id, shown.port, shown.used.port, shown.used.network) == ("mine", 500, 1, 1)
    assert network.list_quotas() == ()
    changed = network.set_quota(port=2, network=-1)
    assert (changed.port, changed.network, changed.subnet) == (2, -1, 100)
    assert network.list_quotas() == (network.show_quota(),)
    network.create_port(network_id=net.id)
    with pytest.raises(errors.OverQuota):
        network.create_port(network_id=net.id)
    assert network.show_quota("others").port == 500
    network.delete_quota()
    assert network.show_quota().port == 500


def test_quotas_of_others_are_not_shown(network: Networks) -> None:
    assert network.show_quota(context=MINE).project_id == "mine"
    with pytest.raises(errors.PolicyNotAuthorized):
        network.show_quota("others", context=MINE)
    with pytest.raises(errors.PolicyNotAuthorized):
        network.list_quotas(context=MINE)


def test_only_administrators_change_quotas(network: Networks, net: Network) -> None:
    with pytest.raises(errors.PolicyNotAuthorized):
        network.set_quota(context=MINE, port=1000)
    with pytest.raises(errors.PolicyNotAuthorized):
        network.delete_quota(context=MINE)
    network.create_port(network_id=net.id, context=MINE)


# --- on whose behalf ----------------------------------------------------------------------------------------------


def test_what_is_another_projects_is_not_found(network: Networks, net: Network, subnet: Subnet) -> None:
    port = network.create_port(network_id=net.id)
    group = network.create_security_group(name="web")
    calls: tuple[tuple[Callable[..., object], str, type[errors.NotFound]], ...] = (
        (network.show_network, net.id, errors.NetworkNotFound),
        (network.update_network, net.id, errors.NetworkNotFound),
        (network.delete_network, net.id, errors.NetworkNotFound),
        (network.show_subnet, subnet.id, errors.SubnetNotFound),
        (network.update_subnet, subnet.id, errors.SubnetNotFound),
        (network.delete_subnet, subnet.id, errors.SubnetNotFound),
        (network.show_port, port.id, errors.PortNotFound),
        (network.update_port, port.id, errors.PortNotFound),
        (network.delete_port, port.id, errors.PortNotFound),
        (network.show_security_group, group.id, errors.SecurityGroupNotFound),
        (network.delete_security_group, group.id, errors.SecurityGroupNotFound),
        (network.delete_security_group_rule, group.rules[0].id, errors.SecurityGroupRuleNotFound),
    )
    for call, id_, error in calls:
        with pytest.raises(error, match=id_):
            call(id_, context=OTHERS)
    for call, id_, _ in calls:
        if "show" in call.__name__:
            assert call(id_, context=MINE) == call(id_)
    assert network.list_networks(context=OTHERS) == ()
    assert network.list_ports(context=OTHERS) == ()


def test_the_default_is_an_administrator_of_the_orchestrators_project(network: Networks) -> None:
    theirs = network.create_network(name="theirs", context=OTHERS)
    assert theirs.project_id == "others"
    mine = network.create_network(name="mine", shared=True)
    assert mine.project_id == "mine"
    assert network.list_networks() == (mine, theirs)
    assert network.create_network(name="for them", project_id="others").project_id == "others"
    with pytest.raises(errors.PolicyNotAuthorized, match="shared"):
        network.create_network(context=OTHERS, shared=True)


def test_results_are_frozen(net: Network) -> None:
    with pytest.raises(AttributeError):
        net.name = "other"  # type: ignore[misc]


# --- events, other drivers ----------------------------------------------------------------------------------------


def test_events_are_told_after_the_commit(tmp_path: Path) -> None:
    told: list[NetworkEvent] = []
    seen: list[int] = []

    def listen(event: NetworkEvent) -> None:
        told.append(event)
        seen.append(len(orchestrator.network.list_ports()))

    with Orchestrator(tmp_path, on_network_event=listen) as orchestrator:
        net = orchestrator.network.create_network(name="a")
        subnet = orchestrator.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24")
        port = orchestrator.network.create_port(network_id=net.id)
        changed = orchestrator.network.update_port(port.id, name="p")
        with pytest.raises(errors.NetworkInUse):
            orchestrator.network.delete_network(net.id)
        orchestrator.network.delete_port(port.id)
        orchestrator.network.delete_network(net.id)
    assert [(event.type, event.resource.id) for event in told[:5]] == [
        ("network.create", net.id),
        ("subnet.create", subnet.id),
        ("port.create", port.id),
        ("port.update", port.id),
        ("port.delete", port.id),
    ]
    assert told[-1].type == "network.delete"
    assert told[3].resource == changed
    assert seen[:5] == [0, 0, 1, 1, 0]
    assert all(event.at.tzinfo is not None for event in told)


def test_a_listener_that_fails_fails_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def listen(event: NetworkEvent) -> None:
        heard.append(event.type)
        raise RuntimeError("the listener is broken")

    file = loads(
        """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 16GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}, ports: {mine: {}}}}
flavors: {s: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {i: {kernel: ./k}}
instances: {web: {flavor: s, image: i, networks: [net, {port: mine}]}}
""",
        "listener.yaml",
    )
    with Orchestrator(tmp_path, on_network_event=listen) as orchestrator:
        (web,) = orchestrator.run(file).ended
        assert (web.status, web.instance and web.instance.fault) == ("built", None)
        (port,) = orchestrator.network.list_ports(name="mine")
        assert orchestrator.network.update_port(port.id, name="other").name == "other"
        orchestrator.stop("web")
        orchestrator.destroy(file)
        assert orchestrator.list() == []
        assert orchestrator.audit() == ()
    assert {"network.create", "subnet.create", "port.create", "port.update", "port.delete"} <= set(heard)
    assert {record.getMessage() for record in caplog.records if record.exc_info} == {
        f"a listener failed at {kind}" for kind in heard
    }


def test_drivers_of_ones_own_tell_events_themselves(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_event"):
        Orchestrator(tmp_path, drivers=lambda *_args: Drivers(None, tmp_path), on_network_event=print)  # type: ignore[arg-type]


class Small:
    """A driver that can show networks, and list them by name."""

    local = False

    def list_networks(self, context: Context, *, name: str | None = None, tx: object = None) -> tuple[Network, ...]:
        return (Network("1", name or "all", context.project_id),)


def test_what_another_driver_cannot_do_is_told(network: Networks) -> None:
    small = Networks(Small(), Context("p", is_admin=True))  # type: ignore[arg-type]
    assert small.list_networks(name="x") == (Network("1", "x", "p"),)
    with pytest.raises(errors.HTTPNotImplemented, match="list_networks: the network driver Small does not know mtu"):
        small.list_networks(mtu=1500)
    with pytest.raises(errors.HTTPNotImplemented, match="create_ports: the network driver Small has none"):
        small.create_ports([{"network_id": "1"}])
    with pytest.raises(errors.HTTPNotImplemented, match="set_quota"):
        small.set_quota(port=1)


def test_only_administrators_make_things_for_another_project(network: Networks, net: Network) -> None:
    shared = network.create_network(shared=True)
    group = network.create_security_group(context=MINE, name="web")
    asked: dict[str, dict[str, object]] = {
        "network": {},
        "subnet": {"network_id": net.id, "ip_version": 4, "cidr": "10.0.0.0/24"},
        "port": {"network_id": shared.id},
        "security_group": {"name": "theirs"},
        "security_group_rule": {"security_group_id": group.id, "direction": "ingress"},
    }
    for kind, attributes in asked.items():
        create: Callable[..., object] = getattr(network, f"create_{kind}")
        with pytest.raises(errors.HTTPBadRequest, match="project_id"):
            create(context=MINE, project_id="theirs", **attributes)
    with pytest.raises(errors.HTTPBadRequest, match="project_id"):
        network.create_ports([{"network_id": shared.id, "project_id": "theirs"}], context=MINE)
    assert network.show_quota("theirs").used == QuotaUse()
    assert network.create_network(project_id="theirs").project_id == "theirs"


def test_the_rules_of_a_new_group_count(network: Networks) -> None:
    network.set_quota(security_group_rule=5)
    with pytest.raises(errors.OverQuota, match="security_group_rule"):
        network.create_security_group(name="web")
    network.set_quota(security_group_rule=6)
    network.create_security_group(name="web")
    assert network.show_quota().used.security_group_rule == 6


def test_whose_group_it_is_is_looked_at_before_what_a_members_rule_says(network: Networks) -> None:
    wrong: dict[str, Any] = {"security_group_id": NOBODY, "direction": "egress", "port_range_min": 5}
    with pytest.raises(errors.SecurityGroupNotFound):
        network.create_security_group_rule(context=MINE, **wrong)
    with pytest.raises(errors.SecurityGroupProtocolRequiredWithPorts):
        network.create_security_group_rule(**wrong)
