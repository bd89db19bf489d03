"""An address does not go to the next while a guest may still use it: what may be done to the port of an instance."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.drill.simulated import simulated_drivers
from slipway.model.machine import PowerState
from slipway.model.network import Context, Port
from slipway.model.neutron import ADMIN
from slipway.model.record import Event, Instance
from slipway.model.request import Flavor, Image, InstanceRequest, NetworkRequest
from slipway.runfile import loads

FILE = """
schema: 1
project: mine
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB}
  node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB}
networks: {net: {subnets: {v4: {cidr: 10.0.0.0/24}}, ports: {brought: {fixed_ip: 10.0.0.20}}}}
"""
MINE = Context("mine")
WEB = InstanceRequest(
    "web", Flavor("s", 1, 1 << 29, 1 << 30), Image("i", kernel="/k"), (NetworkRequest("net"),), project="mine"
)


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path, project="mine") as made:
        made.run(loads(FILE, "wired.yaml"))
        yield made


@pytest.fixture
def web(slipway: Orchestrator) -> Instance:
    return slipway.create(WEB)


def port_of(slipway: Orchestrator, instance: Instance) -> Port:
    (port,) = slipway.network.list_ports(device_id=instance.id)
    return port


CHANGES: dict[str, Callable[[Orchestrator, str], object]] = {
    "deleted": lambda slipway, port: slipway.network.delete_port(port),
    "deleted by its project": lambda slipway, port: slipway.network.delete_port(port, context=MINE),
    "cleared": lambda slipway, port: slipway.network.update_port(port, device_id=""),
    "cleared by its project": lambda slipway, port: slipway.network.update_port(port, device_id="", context=MINE),
    "unbound": lambda slipway, port: slipway.network.update_port(port, binding_host_id=""),
    "bound elsewhere": lambda slipway, port: slipway.network.update_port(port, binding_host_id="node-2"),
    "given away": lambda slipway, port: slipway.network.update_port(port, device_id="vip"),
    "given away by its project": lambda slipway, port: slipway.network.update_port(port, device_id="vip", context=MINE),
    "cleared among other things": lambda slipway, port: slipway.network.update_port(port, name="n", device_id=""),
}


def past_us(slipway: Orchestrator, port_id: str, **changes: Any) -> None:
    """What somebody does who asks the network service itself."""
    slipway._drivers.network.update_port(ADMIN, port_id, **changes)


@pytest.mark.parametrize("nic", [NetworkRequest("net"), NetworkRequest(port="brought")], ids=["made", "brought"])
def test_the_command_that_a_refusal_names_takes_the_nic_out_of_the_guest(
    nic: NetworkRequest, slipway: Orchestrator
) -> None:
    web = slipway.create(replace(WEB, networks=(nic,)))
    port = port_of(slipway, web)
    with pytest.raises(errors.PortInUse) as refused:
        slipway.network.delete_port(port.id)
    (command,) = re.findall("`slipway (.*)`", str(refused.value))
    verb, name, *options = command.split()
    said = dict(zip(options[::2], options[1::2], strict=True))
    assert (verb, said) == ("detach-interface", {"--project": "mine", "--nic": port.id})
    changed = slipway.changes.detach_interface(name, said["--nic"], project=said["--project"])
    assert (changed.fault, changed.addresses) == (None, ())
    if nic.port:
        assert slipway.network.show_port(port.id).device_id == ""
        slipway.network.delete_port(port.id)
    assert port.id not in [one.id for one in slipway.network.list_ports()]
    assert slipway.audit() == ()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("nic", [NetworkRequest("net"), NetworkRequest(port="brought")], ids=["made", "brought"])
def test_the_port_of_a_running_guest_stays_its_own(
    change: Callable[[Orchestrator, str], object], nic: NetworkRequest, slipway: Orchestrator
) -> None:
    web = slipway.create(replace(WEB, networks=(nic,)))
    before = port_of(slipway, web)
    with pytest.raises(errors.PortInUse, match=rf"instance web.*slipway detach-interface web .*{before.id}") as caught:
        change(slipway, before.id)
    assert caught.value.status == 409
    assert port_of(slipway, web) == before
    assert slipway.audit() == ()
    slipway.delete("web")
    assert [port.name for port in slipway.network.list_ports()] == ["brought"]


def test_another_project_is_told_nothing(slipway: Orchestrator, web: Instance) -> None:
    port = port_of(slipway, web)
    with pytest.raises(errors.PortNotFound):
        slipway.network.delete_port(port.id, context=Context("theirs"))


@pytest.mark.parametrize("change", ["deleted", "unbound"])
def test_a_stopped_instance_has_its_ports_still(change: str, slipway: Orchestrator, web: Instance) -> None:
    slipway.stop("web")
    port = port_of(slipway, web)
    with pytest.raises(errors.PortInUse):
        CHANGES[change](slipway, port.id)


def test_a_port_is_refused_by_the_ledger_whatever_its_device_says(slipway: Orchestrator, web: Instance) -> None:
    port = port_of(slipway, web)
    past_us(slipway, port.id, device_id="vip", device_owner="user:own")
    for change in ("deleted", "cleared", "unbound"):
        with pytest.raises(errors.PortInUse, match="instance web"):
            CHANGES[change](slipway, port.id)
    slipway.delete("web")
    assert slipway.network.show_port(port.id).device_id == "vip"
    assert slipway.audit() == ()
    slipway.network.delete_port(port.id)


@pytest.mark.parametrize("start", ["start", "reboot"])
def test_an_instance_whose_port_was_taken_does_not_start(start: str, slipway: Orchestrator, web: Instance) -> None:
    port = port_of(slipway, web)
    if start == "start":
        slipway.stop("web")
    past_us(slipway, port.id, device_id="vip")
    state = slipway.get(web.id).vm_state
    failed = getattr(slipway, start)("web")
    assert (failed.vm_state, failed.fault.type) == (state, "PortInUse")
    assert f"slipway port update {port.id} --device-id {web.id}" in failed.fault.message
    domain = next(iter(slipway._drivers.on(host) for host in [_host(slipway, web)])).compute.power_state(web.id)
    assert domain is (PowerState.SHUTDOWN if start == "start" else PowerState.RUNNING)
    slipway.network.update_port(port.id, device_id=web.id)
    assert getattr(slipway, start)("web").fault is None


def _host(slipway: Orchestrator, instance: Instance) -> Any:
    from slipway.states import hosts

    with slipway._store.read() as tx:
        return hosts.get(tx, str(instance.host))


def test_a_port_that_a_stopped_instance_gave_up_goes_with_the_next(slipway: Orchestrator, web: Instance) -> None:
    port = port_of(slipway, web)
    slipway.stop("web")
    slipway.network.update_port(port.id, device_id="", dns_name="", context=MINE)
    second = slipway.create(replace(WEB, name="second", networks=(NetworkRequest(port=port.id),), host="node-2"))
    assert slipway.start("web").fault is not None
    with pytest.raises(errors.PortInUse, match="instance second"):
        slipway.network.update_port(port.id, device_id="")
    slipway.delete("web")
    assert port_of(slipway, second).id == port.id
    assert slipway.audit() == ()


def test_a_port_is_a_nic_from_the_moment_it_is_made(slipway: Orchestrator) -> None:
    refused: list[str] = []

    def listen(event: Event) -> None:
        if event.type == "step.start" and event.step in ("bindings", "disks", "spawn", "wait"):
            (port,) = slipway.network.list_ports(device_id=event.instance_id)
            for change in ("deleted", "cleared"):
                try:
                    CHANGES[change](slipway, port.id)
                except errors.PortInUse:
                    refused.append(f"{event.step} {change}")

    assert slipway.create(WEB, on_event=listen).vm_state == "ACTIVE"
    assert len(refused) == 8


def test_free_ports_and_those_of_deleted_instances_are_anybodys(slipway: Orchestrator, web: Instance) -> None:
    (brought,) = slipway.network.list_ports(name="brought")
    slipway.network.update_port(brought.id, device_id=web.id)
    slipway.network.update_port(brought.id, device_id="", context=MINE)
    slipway.network.update_port(brought.id, device_id=web.id)
    slipway.delete("web")
    slipway.network.delete_port(brought.id)
    assert slipway.network.list_ports() == ()


def test_the_port_of_a_dhcp_server_stays_while_it_serves(tmp_path: Path) -> None:
    drivers = simulated_drivers(random.Random(1), time.sleep)
    with Orchestrator(tmp_path, project="mine", drivers=drivers) as slipway:
        slipway.run(loads(FILE, "wired.yaml"))
        slipway.create(WEB)
        (server,) = slipway.network.list_ports(device_owner="network:dhcp")
        with pytest.raises(errors.PortInUse, match="port of the DHCP server of instance web"):
            slipway.network.delete_port(server.id)
        slipway.delete("web")
        assert [port.name for port in slipway.network.list_ports()] == ["brought"]
