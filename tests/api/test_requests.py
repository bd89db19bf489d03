"""What a program asks for is checked before the first write: each mistake is told with its attribute."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import (
    Flavor,
    GiB,
    Host,
    Image,
    InjectedFile,
    InstanceRequest,
    MiB,
    NetworkRequest,
    Orchestrator,
    Readiness,
    RunFile,
    ServerGroup,
    Settings,
    Sign,
    Simulation,
    Volume,
    errors,
)
from slipway.runfile.entries import InstanceEntry

SMALL = Flavor("small", vcpus=1, memory=512 * MiB, disk=2 * GiB)
TINY = Image("tiny", path="/images/tiny.qcow2", format="qcow2")
WEB = InstanceRequest("web", SMALL, TINY, networks=(NetworkRequest("net"),))
HOST = Host("node-1", vcpus=8, memory=8 * GiB, disk=100 * GiB)
NAN, LONG = math.nan, "x" * 65 * 1024
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user@host"


def flavor(**changes: Any) -> InstanceRequest:
    return replace(WEB, flavor=replace(SMALL, **changes))


def image(**changes: Any) -> InstanceRequest:
    return replace(WEB, image=replace(TINY, **changes))


def web(**changes: Any) -> InstanceRequest:
    return replace(WEB, **changes)


def nic(*given: Any, **more: Any) -> InstanceRequest:
    return web(networks=(NetworkRequest(*given, **more),))


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no request": (lambda: {"name": "web"}, "must be an InstanceRequest, not a dict"),
    "nothing": (lambda: None, "must be an InstanceRequest, not None"),
    # Names
    "path as name": (lambda: web(name="../../x"), 'name: must be a name .*, not "../../x"'),
    "empty name": (lambda: web(name=""), 'name: must be a name .*, not ""'),
    "line break in name": (lambda: web(name="a\nb"), "name: must be a name"),
    "line break after name": (lambda: web(name="a\n"), "name: must be a name"),
    "bytes as name": (lambda: web(name=b"web"), "name: must be a text, not a bytes"),
    "long name": (lambda: web(name="a" * 64), "name: must be a name"),
    "project": (lambda: web(project="a b"), "project: must be a name"),
    "no project": (lambda: web(project=None), "project: must be a text, not None"),
    "flavor's name": (lambda: flavor(name="a/b"), "flavor.name: must be a name"),
    "image's name": (lambda: image(name=""), "image.name: must be a name"),
    # Flavors
    "no flavor": (lambda: web(flavor="small"), 'flavor: must be a Flavor, not "small"'),
    "float vCPUs": (lambda: flavor(vcpus=2.0), r"flavor\.vcpus: must be an integer, not 2\.0"),
    "text vCPUs": (lambda: flavor(vcpus="2"), r'flavor\.vcpus: must be an integer, not "2"'),
    "bool vCPUs": (lambda: flavor(vcpus=True), r"flavor\.vcpus: must be an integer, not True"),
    "no vCPUs": (lambda: flavor(vcpus=0), r"flavor\.vcpus: must be at least 1, not 0"),
    "negative vCPUs": (lambda: flavor(vcpus=-5), r"flavor\.vcpus: must be at least 1, not -5"),
    "many vCPUs": (lambda: flavor(vcpus=10**6), r"flavor\.vcpus: must be at most 65536"),
    "no memory": (lambda: flavor(memory=0), r"flavor\.memory: must be at least 1"),
    "memory beyond the database": (lambda: flavor(memory=2**63), r"flavor\.memory: is out of bounds"),
    "float memory": (lambda: flavor(memory=1.5 * GiB), r"flavor\.memory: must be an integer, not 1610612736\.0"),
    "negative disk": (lambda: flavor(disk=-1), r"flavor\.disk: must be at least 0"),
    "pins": (lambda: flavor(pin_cpus=(1, 2)), "pin_cpus needs a CPU for each of the 1 vCPUs, not 2"),
    "pins of a list": (lambda: flavor(pin_cpus=[1]), "pin_cpus: must be a tuple, not a list"),
    "cells": (lambda: flavor(vcpus=4, numa_cells=3), "4 vCPUs cannot be divided evenly among 3 NUMA cells"),
    "pages": (lambda: flavor(memory=GiB + 1, hugepages=2 * MiB), "is not made of pages of 2MiB"),
    "odd pages": (lambda: flavor(hugepages=4096), "hugepages: must be one of 0, 2097152, 1073741824, not 4096"),
    "mode as text": (lambda: flavor(cpu_mode="host-model"), "must be CpuMode.HOST_MODEL or .*, not"),
    # Images
    "no image": (lambda: web(image=Image("tiny")), 'image: "tiny" needs path or kernel'),
    "relative path": (lambda: image(path="tiny.qcow2"), "path: must be an absolute path or a URL"),
    "relative kernel": (lambda: web(image=Image("k", kernel="vmlinux")), "kernel: must be an absolute path"),
    "path object": (lambda: image(path=Path("/x")), "path: must be a text or None, not a PosixPath"),
    "format": (lambda: image(format="exe"), 'format: must be one of qcow2, raw, not "exe"'),
    "format without path": (lambda: image(path=None, kernel="/k"), "format needs path"),
    "initrd without kernel": (lambda: image(initrd="/i"), "initrd needs kernel"),
    "broken URL": (lambda: image(path="http://[::1/x"), "path: is no URL that can be used: Invalid IPv6 URL"),
    "URL's port": (lambda: image(path="http://h:port/x"), "path: is no URL that can be used: Port"),
    "URL without host": (lambda: image(path="http:///x"), "path: is no URL that can be used: it names no host"),
    "URL of another kind": (lambda: image(path="nbd://h/x"), "path: must be a path or a URL of file:, http:, https:"),
    "URL of another machine": (lambda: image(path="file://h/x"), "a file: URL names a file of this machine"),
    "sha256": (lambda: image(sha256="0"), "sha256: must be a SHA-256"),
    "status": (lambda: image(status="gone"), "status: must be one of active"),
    "machine": (lambda: image(machine="q35'/><x"), "machine: must be a type of machine"),
    "min_disk": (lambda: image(min_disk=-1), "min_disk: must be at least 0"),
    # Networks
    "NIC of nothing": (lambda: nic(), r"networks\[0\]: a NIC needs network or port"),
    "list of networks": (
        lambda: web(networks=[NetworkRequest("net")]),
        "networks: must be a tuple or None, not a list",
    ),
    "name as NIC": (lambda: web(networks=("net",)), r'networks\[0\]: must be a NetworkRequest, not "net"'),
    "one NIC": (lambda: web(networks=NetworkRequest("net")), "networks: must be a tuple or None, not a NetworkRequest"),
    "network and port": (lambda: nic("net", port="p"), "network and port exclude each other"),
    "address and port": (lambda: nic(port="p", fixed_ip="10.0.0.1"), "fixed_ip and port exclude each other"),
    "no address": (lambda: nic("net", fixed_ip="no-ip"), r"networks\[0\].fixed_ip: must be an IP address"),
    "address with zone": (lambda: nic("net", fixed_ip="fe80::1%eth0"), "must be an IP address"),
    "address spelt otherwise": (lambda: nic("net", fixed_ip="2001:DB8::1"), "must be written 2001:db8::1"),
    "empty network": (lambda: nic(""), r"networks\[0\].network: must not be empty"),
    "port twice": (
        lambda: web(networks=(NetworkRequest(port="p"), NetworkRequest(port="p"))),
        r'networks\[1\].port: "p" is given twice',
    ),
    "address twice": (
        lambda: web(networks=(NetworkRequest("n", fixed_ip="10.0.0.2"), NetworkRequest("n", fixed_ip="10.0.0.2"))),
        r'networks\[1\].fixed_ip: "10.0.0.2" is given twice',
    ),
    "group twice": (lambda: web(security_groups=("a", "a")), r'security_groups\[1\]: "a" is given twice'),
    "group as text": (lambda: web(security_groups="web"), 'security_groups: must be a tuple, not "web"'),
    # Groups, hosts, zones
    "policy": (lambda: web(group=ServerGroup("g", "nonsense")), "group.policy: must be one of affinity, .*nonsense"),
    "policy near one": (lambda: web(group=ServerGroup("g", "anti-afinity")), 'did you mean "anti-affinity"'),
    "group as name": (lambda: web(group="g"), "group: must be a ServerGroup or None"),
    "empty zone": (lambda: web(zone=""), "zone: must not be empty"),
    "host": (lambda: web(host=HOST), "host: must be a text or None, not a Host"),
    "empty key": (lambda: web(idempotency_key=""), "idempotency_key: must not be empty"),
    # Disks
    "disk as text": (lambda: web(disks=("5GiB",)), r'disks\[0\]: must be an integer or a Volume, not "5GiB"'),
    "disk of no size": (lambda: web(disks=(GiB, 0)), r"disks\[1\]: must be at least 1, not 0"),
    "many disks": (lambda: web(disks=(1,) * 26), "disks: may have at most 25 items, not 26"),
    "disks beyond the database": (
        lambda: web(disks=(1 << 62, 1 << 62)),
        "the disks are larger than 4194304TiB together",
    ),
    "relative volume": (lambda: web(disks=(Volume("a.raw", "raw"),)), r"disks\[0\].path: must be an absolute path"),
    "volume's format": (lambda: web(disks=(Volume("/a", "vmdk"),)), "format: must be one of qcow2, raw"),
    "volume twice": (
        lambda: web(disks=(Volume("/a", "raw"), Volume("/b/../a", "raw"))),
        r'disks\[1\].path: "/a" is given twice',
    ),
    # What the guest is given
    "metadata as dict": (lambda: web(metadata={"a": "b"}), "metadata: must be a tuple, not a dict"),
    "metadata of one": (lambda: web(metadata=(("a",),)), r"metadata\[0\]: must be a tuple of 2, not of 1"),
    "metadata of numbers": (lambda: web(metadata=(("a", 1),)), r"metadata\[0\]\[1\]: must be a text, not 1"),
    "metadata twice": (lambda: web(metadata=(("a", "1"), ("a", "2"))), r'metadata\[1\]\[0\]: "a" is given twice'),
    "escape in metadata": (lambda: web(metadata=(("a", "\x1b[2J"),)), r"metadata\[0\]\[1\]: .*U\+001B"),
    "user data as bytes": (lambda: web(user_data=b"#!/bin/sh"), "user_data: must be a text or None, not a bytes"),
    "large user data": (lambda: web(user_data=LONG), "user_data is larger than 64 KiB"),
    "user data that are none": (lambda: web(user_data="\ud800"), "user_data: has half a character in it"),
    "user data with NUL": (lambda: web(user_data="a\0b"), "user_data: must not have a NUL character"),
    "user data by digest": (lambda: web(user_data_sha256="0" * 64), "user_data_sha256: is for the record"),
    "private key": (
        lambda: web(ssh_keys=("-----BEGIN OPENSSH PRIVATE KEY-----",)),
        r"ssh_keys\[0\]: must be a public key",
    ),
    "two keys in one": (lambda: web(ssh_keys=(f"{KEY}\n{KEY}",)), r"ssh_keys\[0\]: must be a public key"),
    "relative file": (
        lambda: web(files=(InjectedFile("etc/motd", "x"),)),
        r"files\[0\].path: must be the absolute path",
    ),
    "file without content": (lambda: web(files=(InjectedFile("/etc/motd"),)), r'files\[0\]: "/etc/motd" needs content'),
    "file's mode": (lambda: web(files=(InjectedFile("/a", "x", "rw"),)), "mode: must be a mode in octal"),
    "file's mode as number": (lambda: web(files=(InjectedFile("/a", "x", 0o644),)), "mode: must be a text, not 420"),  # type: ignore[arg-type]
    "file twice": (lambda: web(files=(InjectedFile("/a", "x"), InjectedFile("/a", "y"))), '"/a" is given twice'),
    "large files": (lambda: web(files=(InjectedFile("/a", LONG),)), "the files are larger than 64 KiB together"),
    # What is waited for
    "sign as text": (lambda: web(wait_for=(Readiness("lease", 5),)), r"sign: must be Sign\.LEASE or"),  # type: ignore[arg-type]
    "NaN": (lambda: web(wait_for=(Readiness(Sign.LEASE, NAN),)), "within: must be a finite number, not nan"),
    "infinity": (lambda: web(wait_for=(Readiness(Sign.LEASE, math.inf),)), "within: must be a finite number"),
    "no time": (lambda: web(wait_for=(Readiness(Sign.LEASE, 0),)), "within: must be more than 0, not 0"),
    "marker of nothing": (lambda: web(wait_for=(Readiness(Sign.MARKER, 5),)), "a marker needs the text"),
    "sign twice": (lambda: web(wait_for=(Readiness(Sign.PING, 5), Readiness(Sign.PING, 6))), '"ping" is given twice'),
    "lease of no network": (
        lambda: web(networks=(), wait_for=(Readiness(Sign.LEASE, 5),)),
        "lease needs a network: networks is empty",
    ),
}


@pytest.fixture(scope="module")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Orchestrator:
    made = Orchestrator(tmp_path_factory.mktemp("state"))
    made.add_host(HOST)
    net = made.network.create_network(name="net")
    made.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24")
    return made


@pytest.mark.parametrize("case", BAD)
def test_a_request_is_refused_before_anything_is_on_record(slipway: Orchestrator, case: str) -> None:
    make, expected = BAD[case]
    before = (slipway.hosts(), slipway.list(), slipway.network.list_ports())
    with pytest.raises(errors.InvalidRequest, match=expected) as caught:
        slipway.create(make(), on_event=lambda _event: pytest.fail("something was done"))
    assert len(caught.value.problems) == 1
    assert LONG not in str(caught.value)
    assert (slipway.hosts(), slipway.list(), slipway.network.list_ports()) == before
    assert slipway.resume() == ()


def test_all_mistakes_are_told_at_once(slipway: Orchestrator) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        slipway.create(replace(flavor(vcpus=0, memory="1GiB"), name="a b", networks=(NetworkRequest(),)))
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "name",
        "flavor.vcpus",
        "flavor.memory",
        "networks[0]",
    ]
    assert str(caught.value).startswith("instance a b: name: must be a name")


def test_all_that_a_request_may_have_is_taken(slipway: Orchestrator) -> None:
    whole = InstanceRequest(
        "whole",
        SMALL,
        replace(TINY, sha256="0" * 64),
        networks=(NetworkRequest("net", fixed_ip="10.0.0.77"), NetworkRequest("net")),
        security_groups=("default",),
        group=ServerGroup("g", "soft-anti-affinity"),
        user_data="#cloud-config\n\x1b",
        zone="nova",
        host="node-1",
        disks=(GiB,),
        metadata=(("role", "web"), ("", "")),
        idempotency_key="order 66",
        ssh_keys=(KEY,),
        files=(InjectedFile("/etc/motd", "hello\n", "0600"),),
        wait_for=(Readiness(Sign.MARKER, 5, "login:"),),
    )
    assert slipway.create(replace(whole, wait_for=())).addresses == ("10.0.0.77", "10.0.0.2")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (replace(HOST, vcpus=0), "vcpus: must be at least 1"),
        (replace(HOST, name="a/b"), "name: must be a name"),
        (replace(HOST, cpu_ratio=NAN), "cpu_ratio: must be a finite number"),
        (replace(HOST, memory_ratio=-1), "memory_ratio: must be more than 0"),
        (replace(HOST, memory=1 << 62, memory_ratio=3), "memory and its ratio are more than 4194304TiB together"),
        (replace(HOST, accel="hyperv"), "accel: must be one of auto, kvm, tcg"),
        (replace(HOST, compute="libvirt"), "compute: libvirt needs uri"),
        (replace(HOST, compute="libvirt", uri="qemu://[::1/system"), "uri: is no URL"),
        (replace(HOST, compute="libvirt", uri="test:///x", simulate=Simulation(1)), "simulate is for hosts with"),
        (replace(HOST, simulate=Simulation(delay=-1)), "simulate.delay: must be at least 0"),
        (
            replace(HOST, simulate=Simulation(fail=("spwan",))),
            'simulate.fail.0.: must be one of .*"spwan", did you mean',
        ),
        (replace(HOST, simulate=Simulation(macs=("01:00:5e:00:00:01",))), "must be a unicast MAC"),
        (replace(HOST, zone=None), "zone: must be a text, not None"),
        (replace(HOST, enabled=1), "enabled: must be True or False, not 1"),
        ("node-1", 'must be a Host, not "node-1"'),
    ],
)
def test_a_host_is_refused(tmp_path: Path, host: Any, expected: str) -> None:
    with Orchestrator(tmp_path) as slipway:
        with pytest.raises(errors.InvalidRequest, match=expected):
            slipway.add_host(host)
        file = RunFile(tmp_path, "demo", hosts=(host,), instances=(InstanceEntry(WEB),))
        with pytest.raises(
            errors.InvalidRequest, match=expected.replace("must be a Host", r"hosts\[0\]: must be a Host")
        ):
            slipway.run(file)
        assert (slipway.hosts(), slipway.list()) == ([], [])


def test_a_host_with_an_unknown_driver_is_refused(tmp_path: Path) -> None:
    kvm, other = replace(HOST, compute="kvm"), replace(HOST, name="other")
    with Orchestrator(tmp_path) as slipway:
        for refused in (
            lambda: slipway.add_host(kvm),
            lambda: slipway.run(RunFile(tmp_path, "demo", hosts=(other, kvm))),
        ):
            with pytest.raises(errors.UnknownDriver, match=r'no compute driver "kvm" .* mean "libvirt".*libvirt, sim'):
                refused()
        assert slipway.hosts() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quota_port": -2}, "quota_port: must be at least -1, not -2"),
        ({"quota_port": 1.0}, "quota_port: must be an integer"),
        ({"cpu_ratio": NAN}, "cpu_ratio: must be a finite number, not nan"),
        ({"disk_ratio": 0}, "disk_ratio: must be more than 0"),
        ({"max_attempts": 0}, "max_attempts: must be at least 1, not 0"),
        ({"max_attempts": True}, "max_attempts: must be an integer, not True"),
        ({"step_timeout": math.inf}, "step_timeout: must be a finite number"),
        ({"step_timeout": 0}, "step_timeout: must be more than 0"),
        ({"poll_interval": -1}, "poll_interval: must be more than 0"),
        ({"takeover_grace": "1m"}, 'takeover_grace: must be a number, not "1m"'),
        ({"base_mac": "01:00:00:00:00:00"}, "base_mac: must be a unicast MAC"),
        ({"physical_networks": ["a"]}, "physical_networks: must be a tuple, not a list"),
        ({"physical_networks": ("a", "a")}, r"physical_networks\[1\]: \"a\" is given twice"),
        ({"endpoint": "http://user:password@host/"}, "endpoint: must be an http or https URL without user"),
        ({"network": ""}, "network: must be a name"),
        ({"default_access_network": ""}, "default_access_network: must not be empty"),
    ],
)
def test_settings_are_refused_before_anything_is_made(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=f"^settings: {expected}"):
        Orchestrator(tmp_path / "state", settings=Settings(**changes))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"instances": (InstanceEntry(WEB), InstanceEntry(WEB))}, r'instances\[1\]: "web" is there already'),
        ({"hosts": (HOST, HOST)}, r'hosts\[1\]: "node-1" is there already'),
        ({"instances": (InstanceEntry(WEB, ("db",)),)}, r'depends_on\[0\]: names "db", which is no instance of'),
        ({"instances": (InstanceEntry(WEB, ("web",)),)}, "depends_on goes in a circle: web -> web"),
        ({"instances": (InstanceEntry(flavor(vcpus=0)),)}, r"instances\[0\].request.flavor.vcpus: must be at least 1"),
        ({"instances": (InstanceEntry(web(project="other")),)}, 'must be the file\'s, "default", not "other"'),
        ({"instances": (InstanceEntry(web(idempotency_key="k")),)}, "idempotency_key: is for requests of their own"),
        ({"instances": [InstanceEntry(WEB)]}, "instances: must be a tuple, not a list"),
        ({"settings": Settings(max_attempts=0)}, "settings.max_attempts: must be at least 1"),
        ({"project": ""}, "project: must be a name"),
    ],
)
def test_a_run_file_is_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    file = RunFile(**{"path": tmp_path / "run.yaml", "name": "demo", **changes})
    with Orchestrator(tmp_path) as slipway:
        for call in (slipway.run, slipway.destroy):
            with pytest.raises(errors.InvalidRequest, match=f"run file: .*{expected}"):
                call(file)
        assert (slipway.hosts(), slipway.list()) == ([], [])


@pytest.mark.parametrize("timeout", [-1, math.nan, math.inf, "1m", True])
def test_a_time_out_is_refused(slipway: Orchestrator, timeout: Any) -> None:
    with pytest.raises(ValueError, match=r"the time-out must be"):
        slipway.create(web(name="late"), timeout=timeout)
    assert "late" not in [one.name for one in slipway.list()]
