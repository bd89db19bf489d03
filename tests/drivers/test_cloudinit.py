"""What cloud-init is told; each form was seen to be understood by cloud-init 22.4 itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from email import message_from_string
from email.message import Message
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from slipway.drivers.disk.cloudinit import make_seed, needs_seed
from slipway.model.machine import Seed, Vif
from slipway.model.network import FixedIp, HostRoute, Subnet
from slipway.model.record import Instance
from slipway.model.request import InjectedFile

MakeInstance = Callable[..., Instance]
FILE = InjectedFile("/etc/motd", "hällo\n", "0600")


def subnet(name: str, cidr: str, gateway: str | None = None, **more: Any) -> Subnet:
    version = 6 if ":" in cidr else 4
    return Subnet(name, name, "net", "demo", version, cidr, gateway, (), **more)


DHCP = subnet("dhcp", "10.0.0.0/24", "10.0.0.1", dns_nameservers=("10.0.0.1",))
STATIC = subnet(
    "static",
    "10.1.0.0/16",
    "10.1.0.1",
    enable_dhcp=False,
    dns_nameservers=("9.9.9.9", "1.1.1.1"),
    host_routes=(HostRoute("172.16.0.0/12", "10.1.0.9"),),
)
STATIC6 = subnet("static6", "2001:db8::/64", "2001:db8::1", enable_dhcp=False)


def vif(number: int, *addresses: tuple[Subnet, str], mtu: int = 1450) -> Vif:
    return Vif(
        port_id=f"port-{number}",
        network_id="net",
        network_name="net",
        mac_address=f"FA:16:3E:00:00:0{number}",
        devname=f"tapport-{number}",
        bridge="brqnet",
        mtu=mtu,
        vif_type="bridge",
        vnic_type="normal",
        fixed_ips=tuple(FixedIp(on.id, address) for on, address in addresses),
        subnets=tuple(on for on, _ in addresses),
        active=True,
        preserve_on_delete=False,
    )


def seed(instance: Instance, *vifs: Vif, **says: Any) -> Seed:
    return make_seed(replace(instance, request=replace(instance.request, **says)), vifs)


def nics(instance: Instance, *vifs: Vif) -> Any:
    config = json.loads(seed(instance, *vifs).network_config)
    assert config["version"] == 2
    return config["ethernets"]


def test_a_guest_is_told_who_it_is_and_who_may_log_in(make_instance: MakeInstance) -> None:
    one = make_instance()
    meta = json.loads(seed(one, ssh_keys=("ssh-ed25519 AAAA alice",)).meta_data)
    assert meta == {"instance-id": one.id, "local-hostname": one.name, "public-keys": ["ssh-ed25519 AAAA alice"]}
    assert "public-keys" not in json.loads(seed(one).meta_data)
    assert json.loads(seed(one, metadata=(("role", "db"), ("rack", "7"))).meta_data)["meta"] == {
        "role": "db",
        "rack": "7",
    }


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("web-1", "web-1"),
        ("DB_1", "db-1"),
        ("web.example.org", "web.example.org"),
        ("web-.-a.b_", "web.a.b"),
        ("a__b", "a-b"),
    ],
)
def test_the_host_name_is_one(make_instance: MakeInstance, name: str, host: str) -> None:
    """systemd refuses any other, and the guest would keep the one of its image."""
    assert json.loads(seed(replace(make_instance(), name=name)).meta_data)["local-hostname"] == host


def test_a_seed_is_made_where_there_is_something_to_tell(make_instance: MakeInstance) -> None:
    one = make_instance()
    bare = replace(one, request=replace(one.request, user_data=None))
    assert not needs_seed(bare, [vif(0, (DHCP, "10.0.0.5"))])
    assert needs_seed(bare, [vif(0, (DHCP, "10.0.0.5")), vif(1, (STATIC, "10.1.0.5"))])
    for says in ({"user_data": ""}, {"ssh_keys": ("ssh-rsa AAAA",)}, {"files": (FILE,)}, {"metadata": (("a", "b"),)}):
        assert needs_seed(replace(bare, request=replace(bare.request, **says)), [])


# --- network config -------------------------------------------------------------------------------------------------


def test_a_nic_with_dhcp_is_left_to_it(make_instance: MakeInstance) -> None:
    assert nics(make_instance(), vif(0, (DHCP, "10.0.0.5"))) == {
        "eth0": {"match": {"macaddress": "fa:16:3e:00:00:00"}, "set-name": "eth0", "mtu": 1450, "dhcp4": True}
    }


def test_a_nic_without_dhcp_has_all_that_dhcp_would_have_said(make_instance: MakeInstance) -> None:
    nic = nics(make_instance(), vif(0, (STATIC, "10.1.0.5"), (STATIC6, "2001:db8::5"), mtu=0))["eth0"]
    assert (nic["dhcp4"], "mtu" in nic, "accept-ra" in nic) == (False, False, False)
    assert nic["addresses"] == ["10.1.0.5/16", "2001:db8::5/64"]
    assert nic["routes"] == [
        {"to": "172.16.0.0/12", "via": "10.1.0.9"},
        {"to": "0.0.0.0/0", "via": "10.1.0.1"},
    ]
    assert nic["gateway6"] == "2001:db8::1", "cloud-init makes ::/64 of a route to ::/0"
    assert nic["nameservers"] == {"addresses": ["9.9.9.9", "1.1.1.1"]}


@pytest.mark.parametrize("first", [vif(0, (STATIC, "10.1.0.4")), vif(0, (DHCP, "10.0.0.4"))])
def test_there_is_one_default_route(make_instance: MakeInstance, first: Vif) -> None:
    second = nics(make_instance(), first, vif(1, (STATIC, "10.1.0.5")))["eth1"]
    assert second["routes"] == [{"to": "172.16.0.0/12", "via": "10.1.0.9"}]


def test_a_second_nic_with_dhcp_is_behind_the_first(make_instance: MakeInstance) -> None:
    given = nics(make_instance(), vif(0, (DHCP, "10.0.0.4")), vif(1, (DHCP, "10.0.0.5")))
    assert ["dhcp4-overrides" in given[name] for name in ("eth0", "eth1")] == [False, True]
    assert given["eth1"]["dhcp4-overrides"] == {"route-metric": 1024}


def test_there_is_one_default_route_of_ipv6(make_instance: MakeInstance) -> None:
    given = nics(make_instance(), vif(0, (STATIC6, "2001:db8::4")), vif(1, (STATIC6, "2001:db8::5")))
    assert ["gateway6" in given[name] for name in ("eth0", "eth1")] == [True, False]


def test_a_nic_without_addresses_asks_for_none(make_instance: MakeInstance) -> None:
    nic = nics(make_instance(), vif(0))["eth0"]
    assert (nic["dhcp4"], "addresses" in nic) == (False, False)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("slaac", {"dhcp6": False, "accept-ra": True, "nameservers": {"addresses": ["2001:db8::53"]}}),
        ("dhcpv6-stateless", {"dhcp6": False, "accept-ra": True, "nameservers": {"addresses": ["2001:db8::53"]}}),
        ("dhcpv6-stateful", {"dhcp6": True, "accept-ra": True}),
    ],
)
def test_ipv6_as_the_subnet_has_it(make_instance: MakeInstance, mode: str, says: dict[str, Any]) -> None:
    on = subnet("v6", "2001:db8::/64", "2001:db8::1", ipv6_address_mode=mode, dns_nameservers=("2001:db8::53",))
    nic = nics(make_instance(), vif(0, (on, "2001:db8::5")))["eth0"]
    assert nic == {"match": nic["match"], "set-name": "eth0", "dhcp4": False, "mtu": 1450, **says}


def test_slaac_is_said_in_version_1(make_instance: MakeInstance) -> None:
    """Version 2 has no word for it. All NICs are in one version."""
    auto = subnet("auto", "2001:db8:1::/64", "2001:db8:1::1", ipv6_address_mode="slaac", dns_nameservers=("fd00::53",))
    less = subnet("less", "2001:db8:2::/64", ipv6_address_mode="dhcpv6-stateless")
    full = subnet("full", "2001:db8:3::/64", ipv6_address_mode="dhcpv6-stateful")
    given = [
        vif(0, (auto, "2001:db8:1::f816:3eff:fe00:0")),
        vif(1, (STATIC, "10.1.0.5"), (STATIC6, "2001:db8::5"), mtu=0),
        vif(2, (DHCP, "10.0.0.5"), (less, "2001:db8:2::f816:3eff:fe00:2"), (full, "2001:db8:3::5")),
    ]
    assert json.loads(seed(make_instance(), *given).network_config) == {
        "version": 1,
        "config": [
            {
                **{"type": "physical", "name": "eth0", "mac_address": "fa:16:3e:00:00:00", "mtu": 1450},
                "accept-ra": True,
                "subnets": [{"type": "ipv6_slaac", "dns_nameservers": ["fd00::53"]}],
            },
            {
                **{"type": "physical", "name": "eth1", "mac_address": "fa:16:3e:00:00:01"},
                "subnets": [
                    {
                        **{"type": "static", "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
                        "routes": [{"destination": "172.16.0.0/12", "gateway": "10.1.0.9"}],
                        "dns_nameservers": ["9.9.9.9", "1.1.1.1"],
                    },
                    {"type": "static", "address": "2001:db8::5/64"},
                ],
            },
            {
                **{"type": "physical", "name": "eth2", "mac_address": "fa:16:3e:00:00:02", "mtu": 1450},
                "accept-ra": True,
                "subnets": [{"type": "dhcp4"}, {"type": "ipv6_dhcpv6-stateless"}, {"type": "ipv6_dhcpv6-stateful"}],
            },
        ],
    }


@pytest.mark.parametrize("gateway", [None, "2001:db8::1"])
def test_a_route_to_everywhere_is_the_default_route(make_instance: MakeInstance, gateway: str | None) -> None:
    everywhere = (HostRoute("::/0", "2001:db8::7"), HostRoute("fd00::/8", "2001:db8::8"))
    on = subnet("static6", "2001:db8::/64", gateway, enable_dhcp=False, host_routes=everywhere)
    nic = nics(make_instance(), vif(0, (on, "2001:db8::5")))["eth0"]
    assert (nic["gateway6"], nic["routes"]) == ("2001:db8::7", [{"to": "fd00::/8", "via": "2001:db8::8"}])
    on = replace(STATIC, host_routes=(HostRoute("0.0.0.0/0", "10.1.0.9"),))
    nic = nics(make_instance(), vif(0, (on, "10.1.0.5")))["eth0"]
    assert nic["routes"] == [{"to": "0.0.0.0/0", "via": "10.1.0.9"}]


def test_a_next_hop_outside_the_subnet_is_on_the_link(make_instance: MakeInstance) -> None:
    far = HostRoute("10.9.0.0/16", "192.0.2.9")
    on = replace(STATIC, gateway_ip="192.0.2.1", host_routes=(*STATIC.host_routes, far))
    nic = nics(make_instance(), vif(0, (on, "10.1.0.5")))["eth0"]
    assert nic["routes"] == [
        {"to": "172.16.0.0/12", "via": "10.1.0.9"},
        {"to": "10.9.0.0/16", "via": "192.0.2.9", "on-link": True},
        {"to": "0.0.0.0/0", "via": "192.0.2.1", "on-link": True},
    ]
    nic = nics(make_instance(), vif(0, (replace(STATIC6, gateway_ip="fd00::1"), "2001:db8::5")))["eth0"]
    assert (nic["routes"], "gateway6" in nic) == ([{"to": "::/0", "via": "fd00::1", "on-link": True}], False)
    # A link-local one is on every link.
    nic = nics(make_instance(), vif(0, (replace(STATIC6, gateway_ip="fe80::1"), "2001:db8::5")))["eth0"]
    assert (nic["gateway6"], "routes" in nic) == ("fe80::1", False)


# --- user data and files --------------------------------------------------------------------------------------------

JUST_FILES = {"write_files": [{"path": "/etc/motd", "content": "hällo\n", "permissions": "0600"}]}


def parts(text: str) -> list[Message]:
    return [part for part in message_from_string(text).walk() if not part.is_multipart()]


def content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def test_user_data_alone_are_left_as_they_are(make_instance: MakeInstance) -> None:
    text = "#!/bin/sh\r\necho ü \n\n"
    assert seed(make_instance(), user_data=text).user_data == text


@pytest.mark.parametrize("text", [None, ""])
def test_files_alone_are_a_cloud_config(make_instance: MakeInstance, text: str | None) -> None:
    first, rest = seed(make_instance(), files=(FILE,), user_data=text).user_data.split("\n", 1)
    assert (first, json.loads(rest)) == ("#cloud-config", JUST_FILES)


def test_yaml_reads_the_json_as_it_was_meant(make_instance: MakeInstance) -> None:
    text = "\U0001f600 \\ud83d h\u00e4llo\x7f\x85\u2028\ufffe\n"
    made = seed(make_instance(), user_data=None, files=(InjectedFile("/etc/motd", text),), metadata={"mood": text})
    assert yaml.safe_load(made.user_data)["write_files"][0]["content"] == text
    assert yaml.safe_load(made.meta_data)["meta"] == {"mood": text}


@pytest.mark.parametrize("text", ["#cloud-config\nwrite_files: [{path: /x}]\n", "#!/bin/sh\r\necho ü\n\n", "--\n"])
def test_files_are_a_part_beside_user_data(make_instance: MakeInstance, text: str) -> None:
    made = seed(make_instance(), user_data=text, files=(FILE,)).user_data
    assert made == seed(make_instance(), user_data=text, files=(FILE,)).user_data, "the same seed each time"
    theirs, ours = parts(made)
    assert content(theirs) == text
    assert theirs.get_content_type() == "text/plain", "cloud-init looks what it is"
    assert json.loads(content(ours).removeprefix("#cloud-config\n")) == JUST_FILES
    assert ours["Merge-Type"] == "list(append)+dict(no_replace,recurse_list)+str()"


def test_user_data_of_several_parts_keep_them(make_instance: MakeInstance) -> None:
    text = (
        'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n'
        "--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--b\nContent-Type: text/cloud-config\n\nx: 1\n--b--\n"
    )
    made = parts(seed(make_instance(), user_data=text, files=(FILE,)).user_data)
    assert [part.get_content_type() for part in made] == [
        "text/x-shellscript",
        "text/cloud-config",
        "text/cloud-config",
    ]
    assert content(made[0]) == "#!/bin/sh"


# --- files, time zone, locale, a network config of one's own, config drives -----------------------------------------


def test_files_have_owners_and_any_mode(make_instance: MakeInstance) -> None:
    files = (InjectedFile("/srv/a", "x", "4755", owner="www-data:adm"), InjectedFile("/srv/b", "y"))
    says = seed(make_instance(), user_data=None, files=files, timezone="Europe/Berlin", locale="de_DE.UTF-8").user_data
    mark, _, config = says.partition("\n")
    assert (mark, json.loads(config)) == (
        "#cloud-config",
        {
            "timezone": "Europe/Berlin",
            "locale": "de_DE.UTF-8",
            "write_files": [
                # Once there are users: those of the same user data as well.
                {"path": "/srv/a", "content": "x", "permissions": "4755", "owner": "www-data:adm", "defer": True},
                {"path": "/srv/b", "content": "y", "permissions": "0644"},
            ],
        },
    )


def test_what_is_set_stands_beside_the_users_own(make_instance: MakeInstance) -> None:
    text = "#cloud-config\ntimezone: UTC\n"
    own, ours = parts(seed(make_instance(), user_data=text, timezone="Asia/Tokyo").user_data)
    assert (content(own), ours["Merge-Type"]) == (text, "list(append)+dict(no_replace,recurse_list)+str()")
    assert json.loads(content(ours).partition("\n")[2]) == {"timezone": "Asia/Tokyo"}


def test_a_network_config_of_ones_own_is_taken_as_it_is(make_instance: MakeInstance) -> None:
    text = "version: 2\nethernets: {eth0: {dhcp4: true}}\n"
    assert seed(make_instance(), vif(0, (DHCP, "10.0.0.5")), network_config=text).network_config == text


def test_each_of_them_needs_a_seed(make_instance: MakeInstance) -> None:
    bare = make_instance()
    bare = replace(bare, request=replace(bare.request, user_data=None))
    for says in ({"timezone": "UTC"}, {"locale": "C"}, {"network_config": "version: 2"}, {"config_drive": True}):
        assert needs_seed(replace(bare, request=replace(bare.request, **says)), [])


def test_a_config_drive_says_the_same_as_openstack_does(make_instance: MakeInstance) -> None:
    one = replace(make_instance(), name="Web_1")
    nics = (vif(0, (DHCP, "10.0.0.5"), (STATIC6, "2001:db8::5")), vif(1, (STATIC, "10.1.0.5"), mtu=0))
    made = seed(one, *nics, config_drive=True, ssh_keys=("ssh-ed25519 A a",), metadata=(("a", "b"),), user_data="#!/x")
    meta, data = json.loads(made.meta_data), json.loads(made.network_config)
    assert (made.config_drive, made.user_data, meta["uuid"], meta["hostname"]) == (True, "#!/x", one.id, "web-1")
    assert (meta["public_keys"], meta["meta"], meta["name"]) == ({"key-0": "ssh-ed25519 A a"}, {"a": "b"}, "Web_1")
    assert [link["ethernet_mac_address"] for link in data["links"]] == ["fa:16:3e:00:00:00", "fa:16:3e:00:00:01"]
    assert [(one["type"], one["link"], one.get("ip_address"), one.get("netmask")) for one in data["networks"]] == [
        ("ipv4_dhcp", "tapport-0", None, None),
        ("ipv6", "tapport-0", "2001:db8::5", "ffff:ffff:ffff:ffff::"),
        ("ipv4", "tapport-1", "10.1.0.5", "255.255.0.0"),
    ]
    assert data["networks"][1]["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    # The first NIC has the default route.
    assert [route["gateway"] for route in data["networks"][2]["routes"]] == ["10.1.0.9"]
    assert data["services"] == [{"type": "dns", "address": "9.9.9.9"}, {"type": "dns", "address": "1.1.1.1"}]
