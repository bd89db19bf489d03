"""The commands of networks, subnets, ports, security groups and quotas."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from slipway import errors
from slipway.cli.main import COMMANDS, main

Call = Callable[..., Result]
COMMON = {"--state", "--db", "--output", "--verbose"}
GROUPS = ("network", "subnet", "port", "security-group", "quota", "router", "floating-ip")


@pytest.fixture
def said(slipway: Call) -> Callable[..., Any]:
    """What a command that ends well gives in JSON."""

    def call(*args: str) -> Any:
        done = slipway(*args, "--output", "json")
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return json.loads(done.stdout)

    return call


@pytest.fixture
def refused(slipway: Call) -> Callable[..., dict[str, str]]:
    """The error of a command that is refused."""

    def call(*args: str, code: int = 1) -> dict[str, str]:
        done = slipway(*args, "--output", "json")
        assert done.exit_code == code, done.output
        (error,) = json.loads(done.stdout).values()
        assert set(error) == {"type", "message"}
        assert isinstance(error, dict)
        return error

    return call


Said = Callable[..., Any]
Refused = Callable[..., dict[str, str]]


@pytest.fixture
def site(said: Said) -> dict[str, str]:
    """A network with an IPv4 and a SLAAC subnet; their ids."""
    net = said("network", "create", "demo-net")
    subnet = said("subnet", "create", "--network", "demo-net", "--cidr", "10.0.0.0/24", "--name", "demo-subnet")
    modes = ("--ra-mode", "slaac", "--address-mode", "slaac")
    v6 = said("subnet", "create", "--network", net["id"], "--cidr", "2001:db8::/64", *modes, "demo-v6")
    return {"net": net["id"], "subnet": subnet["id"], "v6": v6["id"]}


# --- help ---------------------------------------------------------------------------------------------------------


def commands(of: click.Group, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in of.commands.items():
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


ALL = [
    case
    for name in GROUPS
    for case in commands(main.get_command(click.Context(main), name), name)  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_each_has_help_with_an_example_and_is_in_the_reference(
    path: tuple[str, ...], command: click.Command, slipway: Call
) -> None:
    shown = slipway(*path, "--help")
    assert shown.exit_code == 0
    assert f"Examples:\n    slipway {' '.join(path[:-1])}" in shown.stdout
    assert "--output [text|json]" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    section = text.partition(f"\n## slipway {path[0]}\n")[2].partition("\n## ")[0]
    for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
        assert f"`{option}" in section or option in COMMON, option


def test_the_groups_are_known() -> None:
    assert set(GROUPS) <= set(COMMANDS)


def test_without_a_command_the_help_is_shown_and_2(slipway: Call) -> None:
    for name in GROUPS:
        done = slipway(name)
        assert done.exit_code == 2
        assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("network", "lsit"), "there is no command 'network lsit', did you mean \"list\"?"),
        (("network", "create", "a", "--name", "b"), "the name is given twice"),
        (("network", "list", "--project", "a", "--all-projects"), "exclude each other"),
        (("network", "list", "--limit", "0"), "Invalid value for '--limit'"),
        (("subnet", "create", "--cidr", "10.0.0.0/24"), "Missing option '--network'"),
        (("subnet", "create", "--network", "n", "--cidr", "c", "--pool", "1"), "'1' is not of the form FIRST-LAST"),
        (("port", "create", "--network", "n", "--fixed-ip", "10.0.0.5"), "is not of the form ip=...,subnet=..."),
        (("port", "create", "--network", "n", "--fixed-ip", "ip=1,ip=2"), "is not of the form ip=...,subnet=..."),
        (("port", "create", "--network", "n", "--fixed-ip", "ip="), "is not of the form ip=...,subnet=..."),
        (("port", "create", "--network", "n", "--dhcp-option", "mtu"), "is not of the form NAME=VALUE"),
        (("port", "create", "--network", "n", "--profile", "{"), "it is no JSON"),
        (("port", "create", "--network", "n", "--profile", "[]"), "it is no JSON object"),
        (("quota", "set"), "there is nothing to set"),
    ],
)
def test_bad_usage_is_one_line_and_2(args: tuple[str, ...], text: str, slipway: Call) -> None:
    done = slipway(*args)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert text in done.stderr


# --- what is made, shown, listed, deleted -------------------------------------------------------------------------


def test_networks(said: Said, slipway: Call) -> None:
    made = said(
        *("network", "create", "v7", "--project", "demo", "--mtu", "1400", "--no-port-security-enabled", "--shared"),
        *("--provider-network-type", "vlan", "--provider-physical-network", "physnet1"),
        *("--provider-segmentation-id", "7", "--description", "d", "--no-admin-state-up"),
    )
    assert {name: made[name] for name in ("name", "project_id", "mtu", "port_security_enabled", "shared")} == {
        "name": "v7",
        "project_id": "demo",
        "mtu": 1400,
        "port_security_enabled": False,
        "shared": True,
    }
    assert (made["provider_segmentation_id"], made["description"], made["admin_state_up"]) == (7, "d", False)
    other = said("network", "create", "--name", "other")
    assert (other["project_id"], other["subnets"]) == ("default", [])
    assert said("network", "show", "v7") == said("network", "show", made["id"]) == made
    assert said("network", "list") == said("network", "list", "--all-projects") == [other, made]
    assert said("network", "list", "--project", "demo") == [made]
    assert said("network", "list", "--no-shared") == said("network", "list", "--name", "other") == [other]
    lines = slipway("network", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["NAME", "PROJECT"], ["other", "default"], ["v7", "demo"]]
    assert slipway("network", "delete", "other", made["id"]).stdout == "deleted network other\ndeleted network v7\n"
    assert slipway("network", "list").stdout == "no networks\n"
    assert said("network", "list") == []


def test_subnets(said: Said, site: dict[str, str], slipway: Call) -> None:
    made = said(
        *("subnet", "create", "--network", "demo-net", "--cidr", "10.1.0.0/24", "--gateway", "none", "--no-dhcp"),
        *("--pool", "10.1.0.10-10.1.0.20", "--pool", "10.1.0.30-10.1.0.40", "--dns", "10.1.0.2", "--dns", "10.1.0.3"),
        *("--host-route", "destination=10.9.0.0/16,nexthop=10.1.0.7", "--service-type", "compute:nova"),
    )
    assert (made["gateway_ip"], made["enable_dhcp"], made["ip_version"]) == (None, False, 4)
    assert made["allocation_pools"] == [
        {"start": "10.1.0.10", "end": "10.1.0.20"},
        {"start": "10.1.0.30", "end": "10.1.0.40"},
    ]
    assert made["dns_nameservers"] == ["10.1.0.2", "10.1.0.3"]
    assert made["host_routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.1.0.7"}]
    assert made["service_types"] == ["compute:nova"]
    changed = said(
        "subnet", "update", made["id"], "--name", "sub", "--gateway", "10.1.0.1", "--dhcp", "--dns", "10.1.0.4"
    )
    assert changed == {
        **made,
        **{"name": "sub", "gateway_ip": "10.1.0.1", "enable_dhcp": True, "dns_nameservers": ["10.1.0.4"]},
    }
    made = said("subnet", "update", "sub", "--name", "")
    v6 = said("subnet", "show", "demo-v6")
    assert (v6["ip_version"], v6["ipv6_ra_mode"], v6["ipv6_address_mode"]) == (6, "slaac", "slaac")
    assert said("subnet", "list", "--ip-version", "6", "--network", "demo-net") == [v6]
    assert [one["id"] for one in said("subnet", "list")] == [site["subnet"], site["v6"], made["id"]]
    assert slipway("subnet", "list").stdout.splitlines()[1].split()[:4] == [
        "demo-subnet",
        "10.0.0.0/24",
        "10.0.0.1",
        "demo-net",
    ]
    assert said("subnet", "delete", made["id"]) == [made]


def test_ports(said: Said, site: dict[str, str], slipway: Call) -> None:
    web = said("security-group", "create", "web")
    made = said(
        *("port", "create", "--network", "demo-net", "--fixed-ip", "ip=10.0.0.5", "--fixed-ip", "subnet=demo-subnet"),
        *("--mac", "fa:16:3e:00:00:01", "--name", "web-port", "--security-group", "web", "--device-id", "vm"),
        *("--device-owner", "compute:nova", "--address-pair", "ip=10.7.0.0/16,mac=fa:16:3e:99:99:99"),
        *("--dhcp-option", "classless-static-route=10.0.0.0/8,10.0.0.1", "--dhcp6-option", "dns=::1"),
        *("--profile", '{"a": [1]}', "--dns-name", "web", "--description", "d", "--no-admin-state-up"),
    )
    assert [ip["subnet_id"] for ip in made["fixed_ips"]] == [site["subnet"], site["subnet"], site["v6"]]
    assert [made["fixed_ips"][index]["ip_address"] for index in (0, 2)] == ["10.0.0.5", "2001:db8::f816:3eff:fe00:1"]
    assert (made["mac_address"], made["security_groups"]) == ("fa:16:3e:00:00:01", [web["id"]])
    assert made["allowed_address_pairs"] == [{"ip_address": "10.7.0.0/16", "mac_address": "fa:16:3e:99:99:99"}]
    assert made["extra_dhcp_opts"] == [
        {"opt_name": "classless-static-route", "opt_value": "10.0.0.0/8,10.0.0.1", "ip_version": 4},
        {"opt_name": "dns", "opt_value": "::1", "ip_version": 6},
    ]
    without = said(
        "port", "update", made["id"], "--no-dhcp-option", "classless-static-route", "--dhcp-option", "mtu=1400"
    )
    assert without["extra_dhcp_opts"] == [
        {"opt_name": "dns", "opt_value": "::1", "ip_version": 6},
        {"opt_name": "mtu", "opt_value": "1400", "ip_version": 4},
    ]
    made = said("port", "update", made["id"], "--no-dhcp-option", "mtu")
    assert made["binding_profile"] == {"a": [1]}
    assert (made["admin_state_up"], made["dns_name"], made["device_id"]) == (False, "web", "vm")
    bare = said("port", "create", "--network", site["net"], "--no-fixed-ip", "--no-security-group")
    assert (bare["security_groups"], len(bare["fixed_ips"])) == ([], 1)
    for filters in (
        ("--ip-address", "10.0.0.5"),
        ("--security-group", "web"),
        ("--subnet", "demo-subnet"),
        ("--device-id", "vm", "--network", "demo-net"),
        ("--mac", "fa:16:3e:00:00:01"),
        ("--limit", "1"),
    ):
        assert said("port", "list", *filters) == [made]
    assert said("port", "list", "--marker", made["id"]) == [bare]
    text = slipway("port", "list").stdout
    assert "web-port  10.0.0.5, " in text
    assert "fixed_ips              10.0.0.5 (subnet " in slipway("port", "show", "web-port").stdout
    assert said("port", "delete", "web-port", bare["id"]) == [made, bare]


def test_update_port(said: Said, site: dict[str, str]) -> None:
    made = said("port", "create", "--network", "demo-net", "--fixed-ip", "ip=10.0.0.5", "web-port")
    changed = said("port", "update", "web-port", "--fixed-ip", "ip=10.0.0.5", "--fixed-ip", "ip=10.0.0.6")
    assert {ip["ip_address"] for ip in changed["fixed_ips"] if ip["subnet_id"] == site["subnet"]} == {
        "10.0.0.5",
        "10.0.0.6",
    }
    bound = said("port", "update", made["id"], "--host", "node-1", "--device-id", "vm", "--name", "new")
    assert (bound["binding_host_id"], bound["binding_vif_type"], bound["name"]) == ("node-1", "bridge", "new")
    assert bound["fixed_ips"] == changed["fixed_ips"]
    unbound = said("port", "update", "new", "--host", "", "--no-security-group", "--no-port-security-enabled")
    assert (unbound["binding_host_id"], unbound["binding_vif_type"]) == ("", "unbound")
    assert (unbound["security_groups"], unbound["port_security_enabled"]) == ([], False)


def test_security_groups_and_their_rules(said: Said, slipway: Call) -> None:
    said("security-group", "create", "--name", "web", "--description", "d")
    rule = said("security-group", "rule", "add", "web", "--protocol", "tcp", "--port", "80", "--from", "10.0.0.0/8")
    assert {name: rule[name] for name in ("direction", "ethertype", "port_range_min", "port_range_max")} == {
        "direction": "ingress",
        "ethertype": "IPv4",
        "port_range_min": 80,
        "port_range_max": 80,
    }
    v6 = said("security-group", "rule", "add", "web", "--from", "2001:db8::/32", "--direction", "egress")
    assert (v6["ethertype"], v6["direction"], v6["protocol"]) == ("IPv6", "egress", None)
    peers = said("security-group", "rule", "add", "web", "--protocol", "udp", "--port", "1-9", "--remote-group", "web")
    assert (peers["remote_group_id"], peers["port_range_max"]) == (rule["security_group_id"], 9)
    shown = said("security-group", "show", "web")
    assert [one["id"] for one in shown["rules"][2:]] == [rule["id"], v6["id"], peers["id"]]
    assert "ingress IPv4 tcp 80 from 10.0.0.0/8 (" in slipway("security-group", "show", "web").stdout
    assert [one["name"] for one in said("security-group", "list")] == ["default", "web"]
    assert said("security-group", "rule", "remove", v6["id"]) == [{"id": v6["id"]}]
    assert len(said("security-group", "delete", "web")[0]["rules"]) == 4


def test_routers_and_floating_ips(said: Said, site: dict[str, str], refused: Refused, slipway: Call) -> None:
    said("network", "create", "public", "--router-external")
    said("subnet", "create", "--network", "public", "--cidr", "203.0.113.0/24", "--name", "public-subnet")
    made = said("router", "create", "edge", "--external-network", "public", "--fixed-ip", "ip=203.0.113.5", "--no-snat")
    gateway = made["external_gateway_info"]
    assert (gateway["enable_snat"], gateway["external_fixed_ips"][0]["ip_address"]) == (False, "203.0.113.5")
    assert said("router", "add-subnet", "edge", "demo-subnet")["subnet_ids"] == [site["subnet"]]
    route = "destination=10.9.0.0/16,nexthop=10.0.0.7"
    assert said("router", "set", "edge", "--route", route)["routes"] == [
        {"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}
    ]
    assert len(said("router", "set", "edge", "--route", "destination=10.8.0.0/16,nexthop=10.0.0.7")["routes"]) == 2
    assert refused("router", "remove-subnet", "edge", "demo-subnet")["type"] == "RouterInterfaceInUseByRoute"
    (left,) = said("router", "unset", "edge", "--route", route)["routes"]
    assert left["destination"] == "10.8.0.0/16"
    assert "203.0.113.5 of network" in slipway("router", "show", "edge").stdout
    assert "edge" in slipway("router", "list").stdout
    said("port", "create", "--network", "demo-net", "--name", "web", "--fixed-ip", "ip=10.0.0.5")
    said("port", "create", "--network", "demo-net", "--name", "ssh", "--fixed-ip", "ip=10.0.0.6")
    fip = said("floating-ip", "create", "public", "--port", "web", "--address", "203.0.113.10")
    assert (fip["fixed_ip_address"], fip["router_id"]) == ("10.0.0.5", made["id"])
    assert refused("floating-ip", "create", "public", "--port", "web")["type"] == "FloatingIPPortAlreadyAssociated"
    assert said("floating-ip", "unset", "203.0.113.10")["port_id"] is None
    assert said("floating-ip", "set", fip["id"], "--port", "web")["fixed_ip_address"] == "10.0.0.5"
    ports = ("--port", "ssh", "--external-port", "2222", "--internal-port", "22")
    said("floating-ip", "create", "public", "--address", "203.0.113.11")
    forwarding = said("floating-ip", "forward", "add", "203.0.113.11", *ports)
    assert (forwarding["external_port"], forwarding["internal_ip_address"]) == (2222, "10.0.0.6")
    assert refused("floating-ip", "delete", "203.0.113.11")["type"] == "FipInUseByPortForwarding"
    assert "tcp 2222:2222 to 10.0.0.6 22:22" in slipway("floating-ip", "show", "203.0.113.11").stdout
    assert [one["floating_ip_address"] for one in said("floating-ip", "list")] == ["203.0.113.10", "203.0.113.11"]
    said("floating-ip", "forward", "remove", "203.0.113.11", forwarding["id"])
    assert len(said("floating-ip", "delete", "203.0.113.10", "203.0.113.11")) == 2
    assert refused("floating-ip", "show", "203.0.113.10")["type"] == "FloatingIPNotFound"
    assert refused("floating-ip", "show", "nonsense")["type"] == "FloatingIPNotFound"
    assert refused("router", "set", "edge", code=2)["message"].startswith("there is nothing to set")
    said("router", "unset", "edge", "--route", "destination=10.8.0.0/16,nexthop=10.0.0.7")
    assert refused("router", "delete", "edge")["type"] == "RouterInUse"
    said("router", "remove-subnet", "edge", "demo-subnet")
    assert said("router", "unset", "edge", "--external-gateway")["external_gateway_info"] is None
    assert [one["name"] for one in said("router", "delete", "edge")] == ["edge"]


def test_quotas(said: Said, site: dict[str, str], refused: Refused, slipway: Call) -> None:
    shown = said("quota", "show")
    assert (shown["project_id"], shown["port"], shown["used"]["network"]) == ("default", 500, 1)
    assert said("quota", "set", "--port", "0", "--network", "-1")["port"] == 0
    assert refused("port", "create", "--network", site["net"])["type"] == "OverQuota"
    assert [one["project_id"] for one in said("quota", "list")] == ["default"]
    assert "network               none     1" in slipway("quota", "show").stdout
    assert said("quota", "delete")["port"] == 500


def test_quota_create_is_quota_set(said: Said) -> None:
    assert said("quota", "create", "--port", "3", "--project", "theirs")["port"] == 3
    assert said("quota", "show", "--project", "theirs")["port"] == 3


def test_neutrons_names_are_understood(said: Said, site: dict[str, str]) -> None:
    subnet = said(
        *("subnet", "create", "--network-id", site["net"], "--cidr", "10.7.0.0/24", "--gateway-ip", "10.7.0.9"),
        *("--allocation-pool", "10.7.0.10-10.7.0.20", "--dns-nameserver", "10.7.0.2", "--no-enable-dhcp"),
    )
    assert (subnet["gateway_ip"], subnet["dns_nameservers"], subnet["enable_dhcp"]) == ("10.7.0.9", ["10.7.0.2"], False)
    port = said(
        *("port", "create", "--network-id", site["net"], "--mac-address", "fa:16:3e:00:00:07"),
        *("--fixed-ip", f"subnet_id={subnet['id']},ip_address=10.7.0.15", "--binding-vnic-type", "direct"),
        *("--allowed-address-pair", "ip_address=10.9.0.1,mac_address=fa:16:3e:00:00:08"),
    )
    assert {"subnet_id": subnet["id"], "ip_address": "10.7.0.15"} in port["fixed_ips"]
    assert (port["mac_address"], port["binding_vnic_type"]) == ("fa:16:3e:00:00:07", "direct")
    assert port["allowed_address_pairs"] == [{"ip_address": "10.9.0.1", "mac_address": "fa:16:3e:00:00:08"}]


def test_a_negative_quota_is_refused(refused: Refused) -> None:
    assert refused("quota", "set", "--port", "-2") == {
        "type": "HTTPBadRequest",
        "message": "port: -2 is not a quota of -1 (no limit) to 2147483647",
    }


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("site")
def test_errors_have_neutrons_names(refused: Refused, said: Said, slipway: Call) -> None:
    said("port", "create", "--network", "demo-net", "--fixed-ip", "ip=10.0.0.5")
    error = refused("port", "create", "--network", "demo-net", "--fixed-ip", "ip=10.0.0.5")
    assert error["type"] == "IpAddressAlreadyAllocated"
    assert "10.0.0.5" in error["message"]
    done = slipway("port", "create", "--network", "demo-net", "--fixed-ip", "ip=10.0.0.5")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"slipway: {error['message']}\n"
    for args, name in (
        (("network", "delete", "demo-net"), "NetworkInUse"),
        (("network", "show", "nope"), "NetworkNotFound"),
        (("network", "create", "--mtu", "9000"), "InvalidInput"),
        (("subnet", "show", "nope"), "SubnetNotFound"),
        (("subnet", "delete", "demo-subnet"), "SubnetInUse"),
        (("subnet", "create", "--network", "demo-net", "--cidr", "10.0.0.0/31"), "InvalidInput"),
        (("subnet", "create", "--network", "nope", "--cidr", "10.0.0.0/24"), "NetworkNotFound"),
        (("port", "show", "nope"), "PortNotFound"),
        (("port", "create", "--network", "demo-net", "--mac", "01:00:5e:00:00:01"), "HTTPBadRequest"),
        (("port", "create", "--network", "demo-net", "--security-group", "nope"), "SecurityGroupNotFound"),
        (("port", "create", "--network", "demo-net", "--fixed-ip", "subnet=nope"), "SubnetNotFound"),
        (("port", "list", "--marker", "nope"), "PortNotFound"),
        (("security-group", "create", "default"), "SecurityGroupDefaultAlreadyExists"),
        (("security-group", "rule", "remove", "nope"), "SecurityGroupRuleNotFound"),
    ):
        assert refused(*args)["type"] == name, args
        assert issubclass(getattr(errors, name), errors.NetworkError)


def test_a_name_that_several_have(said: Said, refused: Refused, slipway: Call) -> None:
    theirs, mine, again = (
        said("network", "create", "net", "--project", project) for project in ("demo", "default", "default")
    )
    error = refused("network", "show", "net")
    assert error["type"] == "NoUniqueMatch"
    assert theirs["id"] in error["message"]
    assert said("network", "show", "net", "--project", "demo") == theirs
    assert refused("network", "delete", "net", "--project", "default")["type"] == "NoUniqueMatch"
    assert said("network", "delete", again["id"]) == [again]
    # What a new port refers to is looked for in the port's project first.
    assert said("port", "create", "--network", "net")["network_id"] == mine["id"]
    assert said("port", "create", "--network", "net", "--project", "demo")["network_id"] == theirs["id"]
    assert slipway("network", "show", theirs["id"], "--project", "default").exit_code == 1


@pytest.mark.usefixtures("site")
def test_a_mistyped_name_deletes_nothing(refused: Refused, said: Said) -> None:
    port = said("port", "create", "--network", "demo-net", "web-port")
    assert refused("port", "delete", "web-port", "nope")["type"] == "PortNotFound"
    assert said("port", "list") == [port]


def test_what_a_run_file_made_is_seen(said: Said, slipway: Call, run_file: Callable[..., str]) -> None:
    assert slipway("run", run_file()).exit_code == 0
    (port,) = said("port", "list", "--ip-address", "192.168.0.10")
    assert (port["project_id"], port["binding_host_id"]) == ("demo", "node-1")
    assert [one["name"] for one in said("network", "list")] == ["demo-net"]


def test_as_a_process(process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert process("network", "create", "net").returncode == 0
    done = process("network", "create", "net", "--mtu", "-1", "--output", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"error": {"type": "HTTPBadRequest", "message": "mtu: -1 is negative"}}
    assert done.stderr == ""
