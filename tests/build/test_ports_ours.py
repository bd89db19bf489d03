"""A port is undone only while it is the instance's, and an instance has one port a NIC whatever its hosts dictate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slipway import errors
from slipway.model.network import Context
from slipway.model.record import Event
from slipway.model.request import NetworkRequest
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.testing import Fault, Mode

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

ADMIN = Context("demo", is_admin=True)


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def world(request: pytest.FixtureRequest, make_world: Maker) -> World:
    return make_world(hosts=2, remote=request.param)


def build(
    orchestrator: Orchestrator, world: World, name: str = "web-1", *nics: NetworkRequest | str
) -> tuple[str, str]:
    """The ids of a new instance and its only port."""
    instance = orchestrator.create(world.request(name, *nics))
    (port,) = world.ports(instance)
    return instance.id, port.id


# --- whose a port is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{"device_id": "vip"}, {"device_id": "vip", "device_owner": "user:own"}, {"device_id": ""}]
)
def test_a_port_that_was_given_away_stays(given: dict[str, Any], world: World) -> None:
    with world.open() as orchestrator:
        _, port_id = build(orchestrator, world)
        given_away = world.network.update_port(ADMIN, port_id, **given)
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        left = world.network.show_port(ADMIN, port_id)
        assert (left.device_id, left.fixed_ips) == (given["device_id"], given_away.fixed_ips)
        assert left.device_owner == given.get("device_owner", left.device_owner)


def test_a_port_that_another_instance_has_by_now_is_left_to_it(world: World) -> None:
    with world.open() as orchestrator:
        _, port_id = build(orchestrator, world)
        orchestrator.stop("web-1")
        world.network.update_port(ADMIN, port_id, device_id="", dns_name="")
        second = orchestrator.create(world.request("web-2", NetworkRequest(port=port_id), host="h2"))
        before = world.network.show_port(ADMIN, port_id)
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        assert world.network.show_port(ADMIN, port_id) == before
        assert (before.device_id, before.binding_host_id, orchestrator.audit()) == (second.id, "h2", ())
        refused = world.fail(orchestrator, world.request("web-3", NetworkRequest("net", fixed_ip=second.addresses[0])))
        assert refused.cause is not None
        assert refused.cause.type == "FixedIpAlreadyInUse"


def test_a_port_that_nobody_has_is_unbound(world: World) -> None:
    with world.open() as orchestrator:
        _, port_id = build(orchestrator, world)
        orchestrator.stop("web-1")
        world.network.update_port(ADMIN, port_id, device_id="")
        orchestrator.delete("web-1")
        left = world.network.show_port(ADMIN, port_id)
        assert (left.binding_host_id, left.device_owner) == ("", "")
        assert orchestrator.audit() == ()


def test_what_another_owner_said_of_a_port_stays(world: World) -> None:
    """It was brought along: it is given back, and its owner's word is not ours to take."""
    with world.open() as orchestrator:
        _, port_id = build(orchestrator, world, "web-1", NetworkRequest(port="brought"))
        world.network.update_port(ADMIN, port_id, device_owner="user:own")
        orchestrator.delete("web-1")
        left = world.network.show_port(ADMIN, port_id)
        assert (left.device_id, left.device_owner, left.binding_host_id) == ("", "user:own", "")


@pytest.mark.parametrize("device_id", ["vip", ""])
def test_a_port_that_is_taken_while_it_is_built_is_not_bound(device_id: str, world: World) -> None:
    def take(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "bindings"):
            (port,) = [port for port in world.ports() if port.device_id == event.instance_id]
            world.network.update_port(ADMIN, port.id, device_id=device_id, device_owner="user:own")
            taken.append(port.id)

    taken: list[str] = []
    with world.open() as orchestrator:
        failed = world.fail(orchestrator, world.request(), take)
        assert failed.cause is not None
        assert (failed.cause.type, failed.stuck) == ("PortInUse", ())
        left = world.network.show_port(ADMIN, taken[0])
        assert left.device_id == device_id


def test_a_port_that_was_taken_before_its_reply_came_again_is_not_used(make_world: Maker) -> None:
    world = make_world(hosts=1, remote=True, network_allocate_retries=1)

    def take(_seconds: float) -> None:
        (port,) = [port for port in world.ports() if port.device_id]
        world.network.update_port(ADMIN, port.id, device_id="vip")

    lost = Fault("create_port", Mode.LOST_REPLY, raises=lambda: errors.TransientNetworkError("lost"))
    with world.open(lost, sleep=take) as orchestrator:
        failed = world.fail(orchestrator, world.request())
        assert failed.cause is not None
        assert (failed.cause.type, failed.stuck) == ("PortInUse", ())
        assert "vip" in [port.device_id for port in world.ports()]


# --- a host that dictates MACs ------------------------------------------------------------------------------------

MACS = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
UNUSED = "vcpus: 1, memory: 1GiB, disk: 1GiB, enabled: false"
FILE = """
schema: 1
project: demo
hosts:
  first: {{vcpus: 8, memory: 16GiB, disk: 100GiB{first}}}
  second: {{vcpus: 4, memory: 8GiB, disk: 100GiB{second}}}
networks: {{lan: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}, other: {{subnets: {{o4: {{cidr: 10.1.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances:
  vm: {{flavor: s, image: i, networks: [{nics}]}}
"""
NICS = {
    "auto": ("lan", 1),
    "fixed": ("{network: lan, fixed_ip: 10.0.0.10}", 1),
    "two": ("{network: lan, fixed_ip: 10.0.0.10}, other", 2),
}


@pytest.mark.parametrize(("nics", "count"), NICS.values(), ids=NICS.keys())
@pytest.mark.parametrize("dictates", ["second", "first"])
@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_one_port_a_nic_whichever_host_dictates_macs(
    nics: str, count: int, dictates: str, remote: bool, make_world: Maker
) -> None:
    hosts = {"first": "fail: [spawn]", "second": ""}
    hosts[dictates] = ", ".join(filter(None, (hosts[dictates], f"macs: {MACS}")))
    simulated = {name: f", simulate: {{{said}}}" for name, said in hosts.items()}
    file = loads(FILE.format(nics=nics, **simulated), "macs.yaml")
    world = make_world(hosts=1, host=UNUSED, remote=remote)
    with world.open() as orchestrator:
        (ended,) = orchestrator.run(file).ended
        instance = ended.instance
        assert instance is not None
        assert (instance.vm_state, instance.host, instance.attempt) == ("ACTIVE", "second", 2)
        ports = [port for port in world.ports() if port.name != "brought"]
        assert {port.device_id for port in ports} == {instance.id}
        assert len(ports) == count
        assert {port.binding_host_id for port in ports} == {"second"}
        if dictates == "second":
            assert {port.mac_address for port in ports} <= set(MACS)
        if "fixed_ip" in nics:
            assert "10.0.0.10" in instance.addresses
        assert orchestrator.audit() == ()
        orchestrator.delete("vm", project="demo")
        assert [port.name for port in world.ports()] == ["brought"]
        assert orchestrator.audit() == ()


def test_a_first_port_that_cannot_be_deleted_is_not_stood_beside(make_world: Maker) -> None:
    world = make_world(hosts=1, host=UNUSED)
    first, second = ", simulate: {fail: [spawn]}", f", simulate: {{macs: {MACS}}}"
    file = loads(FILE.format(nics="lan", first=first, second=second), "macs.yaml")
    with world.open(Fault("delete_port", Mode.ERROR)) as orchestrator:
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        assert ended.instance.vm_state == "ERROR"
        assert ended.instance.fault is not None
        assert any("UndoFailed" in later for later in ended.instance.fault.later)
        assert [port.device_id for port in world.ports() if port.device_id] == []
        assert orchestrator.audit() == ()
