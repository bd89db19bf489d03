"""The checklist's rows N1 to N7: what the hypervisor dictates, both branches, retries, the next host, access, VPN
images, and which network driver it is.
"""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.network.neutron.driver import NeutronNetwork
from slipway.model.neutron import ADMIN
from slipway.model.record import Event
from slipway.model.request import NetworkRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.testing import Call, Fault, Mode
from tests.build.conftest import TINY
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

MACS = ("52:54:00:00:00:0a", "52:54:00:00:00:0b")
DICTATES = (
    f'vcpus: 8, memory: 16GiB, disk: 100GiB, simulate: {{macs: ["{MACS[0]}", "{MACS[1]}"], '
    "dhcp_options: {bootfile-name: pxelinux.0, tftp-server: 192.168.0.1}}"
)
DUAL = """
  dual:
    subnets:
      four: {cidr: 10.0.0.0/24}
      six: {cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}
"""


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=3, net=DUAL)


def cause(failed: BuildFailed) -> tuple[str, str]:
    assert failed.cause is not None
    return failed.cause.type, failed.cause.message


# --- N1: what the hypervisor dictates -----------------------------------------------------------------------------


def test_n1_ports_get_the_hypervisors_macs_and_dhcp_options(make_world: Maker) -> None:
    world = make_world(hosts=1, host=DICTATES)
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", "net"))
        ports = world.ports(instance)
        assert {port.mac_address for port in ports} == set(MACS)
        for port in ports:
            options = {(option.opt_name, option.opt_value, option.ip_version) for option in port.extra_dhcp_opts}
            options -= {("router", "", 4)}
            assert options == {("bootfile-name", "pxelinux.0", 4), ("tftp-server", "192.168.0.1", 4)}


def test_n1_no_mac_is_left_for_a_third_port(make_world: Maker) -> None:
    world = make_world(hosts=1, host=DICTATES)
    before = world.reality()
    with world.open() as orchestrator:
        failed = world.fail(orchestrator, world.request("web-1", "net", "net", "net"))
    assert cause(failed) == ("PortNotFree", "instance web-1: none of the host's 2 MAC addresses is left")
    assert world.reality() == before


def test_n1_another_instance_gets_a_mac_that_is_free(make_world: Maker) -> None:
    world = make_world(hosts=1, host=DICTATES)
    with world.open() as orchestrator:
        built = [orchestrator.create(world.request(name)) for name in ("web-1", "web-2")]
        assert {port.mac_address for instance in built for port in world.ports(instance)} == set(MACS)
        failed = world.fail(orchestrator, world.request("web-3"))
    assert cause(failed)[0] == "PortNotFree"


def test_n1_a_port_brought_along_must_have_one_of_the_macs(make_world: Maker) -> None:
    """P3: `PortNotUsable`."""
    world = make_world(hosts=1, host=DICTATES)
    before = world.reality()
    with world.open() as orchestrator:
        failed = world.fail(orchestrator, world.request("web-1", NetworkRequest(port="brought")))
    assert cause(failed)[0] == "PortNotUsable"
    assert world.reality() == before


def test_n1_a_port_with_a_dictated_mac_goes_with_its_host(make_world: Maker) -> None:
    """The next host dictates MACs of its own, so the port is made anew there and none is left over."""
    world = make_world(hosts=2, host=DICTATES)
    seen = world.faults(Fault("spawn", Mode.ERROR))
    with world.open(seen) as orchestrator:
        instance = orchestrator.create(world.request())
        assert instance.attempt == 2
        assert seen.calls.count(("delete_port", 0)) == 1
        (port,) = world.ports(instance)
        assert (port.mac_address, port.binding_host_id) == (MACS[0], "h2")
        assert orchestrator.audit() == ()


def test_n1_a_port_whose_reply_was_lost_keeps_its_mac(make_world: Maker) -> None:
    world = make_world(hosts=1, host=DICTATES, remote=True)
    fault = Fault("create_port", Mode.LOST_REPLY, nth=1, raises=errors.TransientNetworkError)
    with world.open(fault) as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", "net"))
        assert {port.mac_address for port in world.ports(instance)} == set(MACS)
        assert orchestrator.audit() == ()


# --- N2: side by side ---------------------------------------------------------------------------------------------


def test_n2_ports_and_disks_are_made_side_by_side(make_world: Maker) -> None:
    world = make_world(hosts=1, remote=True)
    together = threading.Barrier(2)

    def meet(call: Call) -> None:
        if call.name in ("create_port", "create_disk"):
            together.wait(PATIENCE)

    with ThreadPoolExecutor(2) as pool, world.open(world.faults(on_call=meet), executor=pool) as orchestrator:
        instance = orchestrator.create(world.request())
        assert orchestrator.audit() == ()
    assert instance.vm_state == "ACTIVE"


def test_n2_without_an_executor_one_comes_after_the_other(make_world: Maker) -> None:
    world = make_world(hosts=1, remote=True)
    events: list[Event] = []
    with world.open() as orchestrator:
        orchestrator.create(world.request("web-1", "net", "net", disks=(1 << 30,)), on_event=events.append)
    steps = [(event.step, event.slot, event.type) for event in events if event.step]
    assert steps[1::2] == [(step, slot, "step.end") for step, slot, _ in steps[::2]]


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_n2_the_domain_waits_for_both_branches(remote: bool, make_world: Maker) -> None:
    world = make_world(hosts=1, remote=remote)
    events: list[Event] = []
    with ThreadPoolExecutor(2) as pool, world.open(executor=pool) as orchestrator:
        for number in range(3):
            orchestrator.create(world.request(f"web-{number}", "net", "net", disks=(1 << 30,)), on_event=events.append)
            order = [(event.type, event.step) for event in events]
            begun = order.index(("step.start", "definition"))
            for step, count in (("ports", 2), ("bindings", 2), ("disks", 2)):
                assert order[:begun].count(("step.end", step)) == count
            events.clear()
        assert orchestrator.audit() == ()


# --- N3: retries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["list_networks", "create_port", "bind"])
def test_n3_the_waits_double_up_to_thirty_seconds(
    call: str, make_world: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(hosts=1, network_allocate_retries=7)
    world.slept.clear()
    texts = (f"away, {number}" for number in range(100))
    fault = Fault(call, Mode.ERROR, raises=lambda: errors.TransientNetworkError(next(texts)), last=100)
    with caplog.at_level(logging.WARNING, "slipway"), world.open(fault) as orchestrator:
        failed = world.fail(orchestrator, world.request())
    assert world.slept == [1, 2, 4, 8, 16, 30, 30]
    assert cause(failed) == ("TransientNetworkError", "away, 7")
    warnings = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert len(warnings) == 7
    assert warnings[0].endswith("attempt 1 of 8: away, 0")


def test_n3_the_build_goes_on_once_the_service_is_back(make_world: Maker) -> None:
    world = make_world(hosts=1, network_allocate_retries=2)
    world.slept.clear()
    fault = Fault("create_port", Mode.ERROR, raises=lambda: errors.TransientNetworkError("away"), last=1)
    with world.open(fault) as orchestrator:
        assert orchestrator.create(world.request()).attempt == 1
    assert world.slept == [1, 2]


@pytest.mark.parametrize(("retries", "warned"), [(0, False), (-3, True)])
def test_n3_no_retries_is_one_call(
    retries: int, warned: bool, make_world: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(hosts=1, network_allocate_retries=retries)
    world.slept.clear()
    faults = world.faults(Fault("create_port", Mode.ERROR, raises=lambda: errors.TransientNetworkError("away"), last=9))
    with caplog.at_level(logging.WARNING, "slipway"), world.open(faults) as orchestrator:
        world.fail(orchestrator, world.request())
    assert [name for name, _ in faults.calls].count("create_port") == 1
    assert world.slept == []
    texts = [line.getMessage() for line in caplog.records]
    assert any(f"{retries} retries counts as none" in text for text in texts) is warned


def test_n3_what_cannot_pass_is_not_tried_again(make_world: Maker) -> None:
    """Nova tries a used-up quota again all the same."""
    world = make_world(hosts=1, network_allocate_retries=5)
    faults = world.faults(Fault("create_port", Mode.ERROR, raises=lambda: errors.OverQuota("no more"), last=9))
    with world.open(faults) as orchestrator:
        failed = world.fail(orchestrator, world.request())
    assert cause(failed)[0] == "PortLimitExceeded"
    assert [name for name, _ in faults.calls].count("create_port") == 1


# --- N4: on the next host -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_n4_the_same_ports_are_bound_to_the_next_host(remote: bool, make_world: Maker) -> None:
    world = make_world(hosts=3, remote=remote)
    faults = world.faults(Fault("spawn", Mode.ERROR, last=1))
    ports: dict[int, list[tuple[str, str, str]]] = {}
    hosts: dict[int, set[str]] = {}
    with world.open(faults) as orchestrator:

        def listen(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "spawn"):
                mine = [port for port in world.ports() if port.device_id == event.instance_id]
                ports[event.attempt] = sorted((p.id, p.mac_address, p.fixed_ips[0].ip_address) for p in mine)
                hosts[event.attempt] = {port.binding_host_id for port in mine}

        request = world.request("web-1", NetworkRequest(port="brought"), "net")
        instance = orchestrator.create(request, on_event=listen)
        assert orchestrator.audit() == ()
    assert instance.attempt == 3
    assert ports[1] == ports[2] == ports[3]
    assert hosts == {1: {"h1"}, 2: {"h2"}, 3: {"h3"}}
    names = [name for name, _ in faults.calls]
    assert (names.count("create_port"), names.count("delete_port")) == (1, 0)
    assert (names.count("bind"), names.count("unbind")) == (6, 4)
    assert (names.count("take"), names.count("give_back")) == (1, 0)


def test_n4_the_networks_are_not_looked_up_again(world: World) -> None:
    faults = world.faults(Fault("spawn", Mode.ERROR))
    with world.open(faults) as orchestrator:
        instance = orchestrator.create(world.request())
        kinds = [effect.kind for effect in orchestrator.show("web-1").effects]
    assert instance.attempt == 2
    assert [name for name, _ in faults.calls].count("list_networks") == 1
    assert (kinds.count("allocation"), kinds.count("port"), kinds.count("binding")) == (1, 1, 2)


# --- N5: access addresses -----------------------------------------------------------------------------------------


def test_n5_the_access_addresses_are_those_on_the_default_network(world: World) -> None:
    world.settings = replace(world.settings, default_access_network="dual")
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", "dual"))
    assert instance.access_ipv4 == "10.0.0.2"
    assert instance.access_ipv6 is not None
    assert instance.access_ipv6.startswith("2001:db8::")
    assert instance.addresses == ("192.168.0.2", "10.0.0.2", instance.access_ipv6)


@pytest.mark.parametrize(("configured", "network"), [(None, "dual"), ("dual", "net")])
def test_n5_there_are_none_without_that_network(configured: str | None, network: str, world: World) -> None:
    world.settings = replace(world.settings, default_access_network=configured)
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", network))
    assert (instance.access_ipv4, instance.access_ipv6) == (None, None)


# --- N6: a VPN image ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_n6_a_vpn_images_flag_is_on_record_at_ports_and_instance(remote: bool, make_world: Maker) -> None:
    """Also after a reschedule; a port brought along keeps what its profile said, and gives the flag back."""
    world = make_world(hosts=2, remote=remote)
    vpn = replace(TINY, name="vpn", vpn=True)
    request = world.request("gate", "net", NetworkRequest(port="brought"), image=vpn)
    with world.open() as orchestrator:
        (brought,) = world.network.list_ports(ADMIN, name="brought")
        world.network.update_port(ADMIN, brought.id, binding_profile={"rack": 7})
    with world.open(Fault("spawn", Mode.ERROR)) as orchestrator:
        instance = orchestrator.create(request)
        assert instance.attempt == 2
        plain = orchestrator.create(world.request("web-1"))
    with world.open() as orchestrator:
        assert orchestrator.show("gate").instance.request.image.vpn
        assert not orchestrator.show("web-1").instance.request.image.vpn
        profiles = {port.name: json.loads(port.binding_profile) for port in world.ports(instance)}
        assert profiles == {"": {"vpn": True}, "brought": {"rack": 7, "vpn": True}}
        assert [port.binding_profile for port in world.ports(plain)] == ["{}"]
        assert orchestrator.audit() == ()
        orchestrator.delete("gate")
        (back,) = world.network.list_ports(ADMIN, name="brought")
        assert json.loads(back.binding_profile) == {"rack": 7}


def test_n6_a_run_file_says_which_images_are_for_a_vpn() -> None:
    text = """
schema: 1
flavors: {small: {vcpus: 1, memory: 1GiB, disk: 2GiB}}
images: {gate: {path: /gate.qcow2, format: qcow2, vpn: true}, web: {path: /web.qcow2, format: qcow2}}
instances: {gate: {flavor: small, image: gate, networks: []}, web: {flavor: small, image: web, networks: []}}
"""
    images = {entry.request.name: entry.request.image.vpn for entry in loads(text, "run.yaml").instances}
    assert images == {"gate": True, "web": False}


# --- N7: the network driver by setting ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("embedded", EmbeddedNetwork),
        ("neutron", NeutronNetwork),
        ("nova.network.quantumv2.api.API", NeutronNetwork),
        ("nova.network.neutronv2.api.API", NeutronNetwork),
    ],
)
def test_n7_a_setting_names_the_network_driver_novas_old_names_too(setting: str, kind: type, tmp_path: Path) -> None:
    text = f'settings: {{network: {setting}, endpoint: "http://127.0.0.1:9"}}'
    file = loads(f"schema: 1\n{text}\n", "run.yaml")
    with Orchestrator(tmp_path, settings=file.settings) as orchestrator:
        assert type(orchestrator.network._driver) is kind


@pytest.mark.parametrize("setting", ["nova.network.linux_net.API", "neutron2", "my.neutronv2x.API"])
def test_n7_another_name_is_no_driver(setting: str, tmp_path: Path) -> None:
    with (
        pytest.raises(errors.UnknownDriver, match=setting),
        Orchestrator(tmp_path, settings=Settings(network=setting)) as orchestrator,
    ):
        orchestrator.network.list_networks()
