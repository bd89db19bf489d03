from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from msgspec.structs import fields

from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.disk.base import DiskDriver
from slipway.model.machine import DiskRequest, DiskRole
from slipway.model.network import AllocationPool
from slipway.model.request import (
    Boot,
    CpuMode,
    Firmware,
    Flavor,
    Host,
    Image,
    InjectedFile,
    InstanceRequest,
    NetworkRequest,
    ServerGroup,
    Volume,
)
from slipway.runfile import DEFAULT_GATEWAY, RunFile, load, loads
from slipway.settings import Settings
from slipway.states import codec

DEMO = """\
schema: 1

hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GB, compute: sim, ratios: {cpu: 2}}
  node-2:
    vcpus: 8
    memory: 32GiB
    disk: 500GB
    zone: rack-b
    wiring: null
    simulate: {delay: 200ms, fail: [spawn], macs: ["FA-16-3E-00-00-01"], dhcp_options: {bootfile-name: x}}

networks:
  demo-net:
    subnets:
      demo-subnet:
        cidr: 192.168.0.0/24
        gateway: 192.168.0.1
        pools: [192.168.0.2-192.168.0.254]
        dns: [192.168.0.1]
      demo-v6: {cidr: "2001:DB8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}
      lonely: {cidr: 10.0.0.0/24, gateway: null}
    ports:
      web-port: {fixed_ip: 192.168.0.20, mac_address: 52:54:00:12:34:56}

flavors:
  small: {vcpus: 1, memory: 512MiB, disk: 2GiB}

images:
  tiny: {kernel: ./vmlinux, initrd: ./initrd.gz}

server_groups:
  web: {policy: anti-affinity}

security_groups:
  web: {rules: [{protocol: tcp, ports: 80, from: 0.0.0.0/0}, {to: "2001:db8::/64", protocol: udp, ports: 53-54}]}

instances:
  web-1:
    flavor: small
    image: tiny
    networks:
      - {network: demo-net, fixed_ip: 192.168.0.10}
    security_groups: [web]
    group: web
    user_data: {file: ./web.cloud-init}
    metadata: {answer: no}
    keypairs: [me, them]
    files: {/etc/motd: {content: hello}, /etc/secret: {file: ./web.cloud-init, mode: "0600"}}
  worker: {flavor: small, image: tiny, networks: [demo-net], count: 3, group: web}
  gate: {flavor: small, image: tiny, networks: [{port: web-port}], depends_on: [web-1, worker]}
  quiet: {flavor: small, image: tiny, networks: [], disks: [1GiB, 1GB]}

keypairs:
  me: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here
  them: {file: ./them.pub}
settings: {max_attempts: 5, step_timeout: 2m, poll_interval: 50ms, cpu_ratio: 3, base_mac: "FA:16:3E:00:00:00"}
project: demo
"""


@pytest.fixture
def demo(tmp_path: Path) -> RunFile:
    (tmp_path / "demo.yaml").write_text(DEMO)
    (tmp_path / "web.cloud-init").write_text("#cloud-config\n")
    (tmp_path / "them.pub").write_text("ssh-rsa AAAAB3NzaC1yc2EAAAA= them\n")
    return load(tmp_path / "demo.yaml")


def test_hosts_have_sizes_in_bytes_and_ratios_from_the_settings(demo: RunFile) -> None:
    first, second = demo.hosts
    assert first == Host("node-1", 8, 32 * 2**30, 500 * 10**9, cpu_ratio=2.0)
    assert (second.cpu_ratio, second.zone, second.wiring) == (3.0, "rack-b", "null")
    assert second.simulate.delay == 0.2
    assert second.simulate.macs == ("fa:16:3e:00:00:01",)
    assert second.simulate.dhcp_options == (("bootfile-name", "x"),)


def test_networks_have_their_subnets_and_ports(demo: RunFile) -> None:
    (network,) = demo.networks
    v4, v6, lonely = network.subnets
    assert (v4.gateway_ip, v4.pools) == ("192.168.0.1", (AllocationPool("192.168.0.2", "192.168.0.254"),))
    assert (v6.cidr, v6.gateway_ip, v6.ip_version) == ("2001:db8::/64", DEFAULT_GATEWAY, 6)
    assert lonely.gateway_ip is None
    assert network.ports[0].mac_address == "52:54:00:12:34:56"


def test_rules_are_completed(demo: RunFile) -> None:
    first, second = demo.security_groups[0].rules
    assert (first.direction, first.ethertype, first.port_range_min, first.port_range_max) == ("ingress", "IPv4", 80, 80)
    assert (second.direction, second.ethertype, second.port_range_min, second.port_range_max) == (
        "egress",
        "IPv6",
        53,
        54,
    )


def test_instances_are_numbered_where_a_count_is_given(demo: RunFile, tmp_path: Path) -> None:
    by_name = {entry.request.name: entry for entry in demo.instances}
    assert list(by_name) == ["web-1", "worker-1", "worker-2", "worker-3", "gate", "quiet"]
    assert by_name["gate"].depends_on == ("web-1", "worker-1", "worker-2", "worker-3")
    web = by_name["web-1"].request
    assert web.networks == (NetworkRequest("demo-net", "192.168.0.10"),)
    assert web.group == ServerGroup("web", "anti-affinity")
    assert web.user_data == "#cloud-config\n"
    assert web.metadata == (("answer", "no"),)
    assert web.ssh_keys == ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here", "ssh-rsa AAAAB3NzaC1yc2EAAAA= them")
    assert web.files == (
        InjectedFile("/etc/motd", "hello"),
        InjectedFile("/etc/secret", "#cloud-config\n", "0600"),
    )
    assert web.image.kernel == str(tmp_path / "vmlinux")
    assert by_name["gate"].request.networks == (NetworkRequest(port="web-port"),)
    assert by_name["quiet"].request.networks == ()
    assert by_name["quiet"].request.disks == (2**30, 10**9)
    assert (
        by_name["worker-2"].position
        == f"{tmp_path / 'demo.yaml'}:{1 + DEMO[: DEMO.index('  worker:')].count(chr(10))}:3"
    )


def test_settings_are_read_with_their_units(demo: RunFile) -> None:
    expected = Settings(
        max_attempts=5, step_timeout=120.0, poll_interval=0.05, cpu_ratio=3.0, base_mac="fa:16:3e:00:00:00"
    )
    assert demo.settings == expected


def test_what_flavors_and_images_need_from_a_machine() -> None:
    text = """schema: 1
flavors:
  f: {vcpus: 2, memory: 1GiB, disk: 0B, cpu_mode: host-passthrough, numa_cells: 2, pin_cpus: [2, 3], hugepages: 2MiB,
      shared_memory: true}
images: {i: {boot: network, machine: pc-q35-7.2, firmware: uefi}}
instances: {a: {flavor: f, image: i}}
"""
    request = loads(text, "demo.yaml").instances[0].request
    assert request.flavor == Flavor("f", 2, 1 << 30, 0, CpuMode.HOST_PASSTHROUGH, 2, (2, 3), 2 << 20, True)
    assert request.image == Image("i", machine="pc-q35-7.2", firmware=Firmware.UEFI, boot=Boot.NETWORK)


def test_a_record_from_before_these_needs_is_read() -> None:
    old = b'{"name":"f","vcpus":1,"memory":1,"disk":0}'
    assert codec.decode(old, Flavor) == Flavor("f", 1, 1, 0)
    assert codec.decode(b'{"name":"i","kernel":"/k"}', Image) == Image("i", kernel="/k")


def test_the_least_file_has_defaults() -> None:
    least = loads("schema: 1\n", "demo.yaml")
    assert (least.project, least.workflow, least.settings) == ("default", "build-instance", Settings())
    assert least.instances == ()


def test_count_of_one_is_numbered_too() -> None:
    text = (
        "schema: 1\nflavors: {f: {vcpus: 1, memory: 1GiB, disk: 0B}}\nimages: {i: {path: a}}\n"
        "instances: {w: {flavor: f, image: i, count: 1}}\n"
    )
    assert [entry.request.name for entry in loads(text, "demo.yaml").instances] == ["w-1"]


def test_the_schema_is_valid_and_knows_every_setting_and_driver_call() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.files("slipway.runfile").joinpath("schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert set(schema["$defs"]["settings"]["properties"]) == {field.name for field in fields(Settings)}
    calls = {name for driver in (ComputeDriver, DiskDriver) for name in vars(driver) if name[0] != "_"} - {"local"}
    assert set(schema["$defs"]["simulation"]["properties"]["fail"]["items"]["enum"]) == calls


def test_references_may_be_ids_and_numbered_names(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("")
    text = """\
schema: 1
workflow: my.yaml
flavors: {f: {vcpus: 1, memory: 1.5GiB, disk: 0B}}
images:
  i: {path: /images/a.qcow2, format: qcow2, kernel: k, initrd: r, min_disk: 1KB, status: queued}
  j: {path: "file:///images/b.qcow2"}
networks: {n: {ports: {p: {security_groups: [default]}}}}
security_groups: {g: {rules: [{protocol: 58}, {protocol: ICMPv6}, {protocol: TCP, ports: "22"}, {}]}}
instances:
  a:
    flavor: f
    image: i
    networks: [8b9f2a7e-0000-4000-8000-000000000000, {port: 8b9f2a7e-0000-4000-8000-000000000001}, {port: p}, n, n]
    security_groups: [default, 8b9f2a7e-0000-4000-8000-000000000002]
    depends_on: [b-2]
  b: {flavor: f, image: j, count: 2}
settings: {default_access_network: n, max_fixed_ips_per_port: null, physical_networks: [a, b]}
"""
    loaded = loads(text, str(tmp_path / "demo.yaml"))
    first = loaded.instances[0]
    assert loaded.workflow == str(tmp_path / "my.yaml")
    assert loaded.settings.physical_networks == ("a", "b")
    assert first.depends_on == ("b-2",)
    assert first.request.networks is not None
    assert [nic.network or nic.port for nic in first.request.networks][2:] == ["p", "n", "n"]
    assert (first.request.flavor.memory, first.request.flavor.disk) == (3 * 2**29, 0)
    assert (first.request.image.path, first.request.image.kernel) == ("/images/a.qcow2", str(tmp_path / "k"))
    assert loaded.instances[1].request.image.path == "file:///images/b.qcow2"
    rules = [(rule.protocol, rule.ethertype, rule.port_range_min) for rule in loaded.security_groups[0].rules]
    assert rules == [("58", "IPv6", None), ("icmpv6", "IPv6", None), ("tcp", "IPv4", 22), (None, "IPv4", None)]


@pytest.mark.parametrize(
    "subnet",
    [
        "{cidr: 10.0.0.0/31, gateway: null, enable_dhcp: false}",
        "{cidr: 10.0.0.5/32, enable_dhcp: false}",
        "{cidr: 10.0.0.0/24, gateway: 10.0.0.254, pools: [10.0.0.10-10.0.0.20, 10.0.0.21-10.0.0.30]}",
        "{cidr: 10.0.0.0/24, gateway: null, pools: [10.0.0.1-10.0.0.20]}",
        '{cidr: "2001:db8::/64", gateway: "fe80::1"}',
        '{cidr: "2001:db8::/64", gateway: "2001:db8::", pools: ["2001:db8::10-2001:db8::20"]}',
        '{cidr: "2001:db8::/64", ipv6_address_mode: slaac}',
        "{cidr: 169.254.0.0/16, host_routes: [{destination: 10.1.0.0/16, nexthop: 169.254.0.7}]}",
    ],
)
def test_subnets_that_neutron_takes_are_taken(subnet: str) -> None:
    (network,) = loads(f"schema: 1\nnetworks: {{n: {{subnets: {{s: {subnet}}}}}}}\n", "f").networks
    assert network.subnets[0].name == "s"


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.1"])
def test_both_addresses_of_a_31_may_be_asked_for(address: str) -> None:
    subnet = "{cidr: 10.0.0.0/31, gateway: null, enable_dhcp: false}"
    text = f"schema: 1\nnetworks: {{n: {{subnets: {{s: {subnet}}}, ports: {{p: {{fixed_ip: {address}}}}}}}}}\n"
    assert loads(text, "f").networks[0].ports[0].fixed_ip == address


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("~/tiny.qcow2", "/home/me/tiny.qcow2"),
        ("~nobody-is-called-so/tiny.qcow2", "/at/~nobody-is-called-so/tiny.qcow2"),
    ],
)
def test_a_path_from_home(path: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = f"""
schema: 1
flavors: {{small: {{vcpus: 1, memory: 1GiB, disk: 1GiB}}}}
images: {{tiny: {{path: "{path}"}}}}
instances: {{a: {{flavor: small, image: tiny}}}}
"""
    assert loads(text, "/at/run.yaml").instances[0].request.image.path == found


def test_a_volumes_path_is_relative_to_the_file_and_old_records_stay_readable() -> None:
    text = """
schema: 1
flavors: {small: {vcpus: 1, memory: 1GiB, disk: 1GiB}}
images: {tiny: {path: tiny.qcow2}}
instances: {a: {flavor: small, image: tiny, disks: [1GiB, {volume: ./data.qcow2, format: qcow2}]}}
"""
    (entry,) = loads(text, "/somewhere/run.yaml").instances
    assert entry.request.disks == (2**30, Volume("/somewhere/data.qcow2", "qcow2"))
    assert codec.decode(codec.encode(entry.request), InstanceRequest) == entry.request
    old = b'{"instance_id":"i","slot":1,"role":"data","size":5,"image":null,"seed":null}'
    assert codec.decode(old, DiskRequest) == DiskRequest("i", 1, DiskRole.DATA, 5)
