"""The checklist's rows P1 to P8: which ports an instance gets, what they carry, and what happens when one fails."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.model.network import Context
from slipway.model.record import Event
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.operations.lifecycle import Listener
from slipway.orchestrator import Orchestrator
from slipway.testing import Fault, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.model.network import Network, Port, SecurityGroup
    from tests.build.conftest import Maker, World

ADMIN = Context("demo", is_admin=True)
ELSEWHERE = Context("elsewhere", is_admin=True)
USER = Context("demo")
NETWORKS = """
  other:
    subnets:
      other4: {cidr: 10.0.0.0/24}
  tiny:
    subnets:
      tiny4: {cidr: 10.1.0.0/29, pools: [10.1.0.2-10.1.0.3]}
  bare: {}
  open:
    port_security_enabled: false
    subnets:
      open4: {cidr: 10.2.0.0/24}
"""


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def world(request: pytest.FixtureRequest, make_world: Maker) -> World:
    return make_world(hosts=2, net=NETWORKS, remote=request.param)


def refused(
    world: World, orchestrator: Orchestrator, request: InstanceRequest, listen: Listener = lambda _event: None
) -> str:
    """The class of the fault; the build must have ended at once, and left nothing."""
    failed = world.fail(orchestrator, request, listen)
    assert failed.cause is not None
    assert (failed.instance.attempt, failed.stuck) == (1, ())
    assert orchestrator.audit() == ()
    return failed.cause.type


def brought(world: World) -> str:
    return next(port.id for port in world.ports() if port.name == "brought")


def before_ports(act: Listener) -> Listener:
    """Act once, after the networks were looked at and before the first port is made."""

    def listen(event: Event) -> None:
        if (event.type, event.step, event.slot, event.name) == ("step.start", "ports", 0, "web-1"):
            act(event)

    return listen


def test_p1_an_empty_project_is_refused(world: World) -> None:
    with world.open() as orchestrator:
        with pytest.raises(errors.InvalidRequest, match="project: must be a name"):
            orchestrator.create(world.request("web-1", project=""))
        assert orchestrator.list() == []


# --- P2: what is asked for ----------------------------------------------------------------------------------------


def test_p2_nothing_asked_for_is_the_only_network(make_world: Maker) -> None:
    world = make_world(hosts=1)
    with world.open() as orchestrator:
        instance = orchestrator.create(replace(world.request(), networks=None))
    assert instance.addresses == ("192.168.0.2",)


def test_p2_nothing_asked_for_where_there_is_no_network(make_world: Maker) -> None:
    world = make_world(hosts=1)
    with world.open() as orchestrator:
        instance = orchestrator.create(replace(world.request(), project="elsewhere", networks=None))
    assert (instance.vm_state, instance.addresses) == ("ACTIVE", ())


def test_p2_nothing_asked_for_and_several_networks_is_ambiguous(world: World) -> None:
    with world.open() as orchestrator:
        assert refused(world, orchestrator, replace(world.request(), networks=None)) == "NetworkAmbiguous"


@pytest.mark.parametrize("name", [None, "net"], ids=["no name", "one name"])
def test_p2_another_projects_external_network_does_not_count(name: str | None, make_world: Maker) -> None:
    """Nova: what is visible, but not the project's to attach to, does not make the own network ambiguous."""
    world = make_world(hosts=1)
    with world.open() as orchestrator:
        world.network.create_network(ELSEWHERE, name="net", router_external=True)
        world.network.create_network(ELSEWHERE, name="outside", router_external=True)
        networks = None if name is None else (NetworkRequest(name),)
        instance = orchestrator.create(replace(world.request(), networks=networks))
    assert instance.addresses == ("192.168.0.2",)


@pytest.mark.parametrize("name", [None, "net"], ids=["no name", "one name"])
def test_p2_a_shared_network_counts_and_an_own_one_comes_first_by_name(name: str | None, make_world: Maker) -> None:
    world = make_world(hosts=1)
    with world.open() as orchestrator:
        world.network.create_network(ELSEWHERE, name="net", shared=True)
        if name is None:
            assert refused(world, orchestrator, replace(world.request(), networks=None)) == "NetworkAmbiguous"
        else:
            assert orchestrator.create(world.request("web-1", name)).addresses == ("192.168.0.2",)


def test_p2_external_networks_alone_are_no_network(make_world: Maker) -> None:
    world = make_world(hosts=1)
    with world.open() as orchestrator:
        world.network.create_network(ADMIN, name="outside", router_external=True)
        theirs = replace(world.request(), project="elsewhere", networks=None)
        assert orchestrator.create(theirs).addresses == ()
        named = replace(theirs, name="web-2", networks=(NetworkRequest("outside"),))
        assert refused(world, orchestrator, named) == "ExternalNetworkAttachForbidden"


@pytest.mark.parametrize("kind", ["network", "port", "group"])
def test_p2_a_name_that_several_have_is_no_name(kind: str, world: World) -> None:
    """None of them is taken by chance; by its id each can be."""
    with world.open() as orchestrator:
        made: list[str] = []
        for _ in range(2):
            net = world.network.list_networks(USER, name="other")[0]
            twins: dict[str, Callable[..., Network | Port | SecurityGroup]] = {
                "network": partial(world.network.create_network, port_security_enabled=False),
                "port": partial(world.network.create_port, network_id=net.id),
                "group": world.network.create_security_group,
            }
            made.append(twins[kind](USER, name="twin").id)

        def asking(name: str) -> InstanceRequest:
            if kind == "group":
                return world.request("web-1", security_groups=("default", name))
            return world.request("web-1", NetworkRequest(**{kind: name}))

        failed = world.fail(orchestrator, asking("twin"))
        assert failed.cause is not None
        expected = {"network": "NetworkAmbiguous", "port": "PortNotUsable", "group": "NoUniqueMatch"}
        assert (failed.cause.type, failed.instance.attempt) == (expected[kind], 1)
        assert "twin" in failed.cause.message
        assert orchestrator.delete("web-1")
        assert orchestrator.create(asking(made[1])).vm_state == "ACTIVE"


def test_p2_another_projects_port_is_not_meant_by_a_name(world: World) -> None:
    """On an own network others' ports are seen; one of them with the same name changes nothing."""
    with world.open() as orchestrator:
        (net,) = world.network.list_networks(USER, name="net")
        world.network.create_port(ADMIN, name="brought", network_id=net.id, project_id="elsewhere")
        instance = orchestrator.create(world.request("web-1", NetworkRequest(port="brought")))
    assert instance.addresses == ("192.168.0.20",)


def test_p2_no_network_is_no_network(world: World) -> None:
    faults = world.faults()
    with world.open(faults) as orchestrator:
        instance = orchestrator.create(replace(world.request(), networks=()))
    assert (instance.vm_state, instance.addresses) == ("ACTIVE", ())
    assert not {name for name, _ in faults.calls} & {"list_networks", "create_port"}


@pytest.mark.parametrize(
    ("nic", "kind"),
    [
        (NetworkRequest("nowhere"), "NetworkNotFound"),
        (NetworkRequest(port="nobodys"), "PortNotFound"),
        (NetworkRequest("net", fixed_ip="10.9.9.9"), "InvalidIpForNetwork"),
        (NetworkRequest("net", fixed_ip="192.168.0.255"), "InvalidIpForNetwork"),
        (NetworkRequest("net", fixed_ip="192.168.0.20"), "FixedIpAlreadyInUse"),
    ],
)
def test_p2_all_is_looked_at_before_anything_is_made(nic: NetworkRequest, kind: str, world: World) -> None:
    """Neutron LP2039550: the bad one comes last."""
    before = world.reality()
    with world.open() as orchestrator:
        assert refused(world, orchestrator, world.request("web-1", "net", nic)) == kind
    assert world.reality() == before


# --- P3: ports brought along --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_id", [False, True])
def test_p3_a_port_brought_along_is_taken_bound_and_given_back(by_id: bool, world: World) -> None:
    before = world.reality()
    with world.open() as orchestrator:
        port_name = brought(world) if by_id else "brought"
        instance = orchestrator.create(world.request("web-1", NetworkRequest(port=port_name)))
        port = world.network.show_port(ADMIN, brought(world))
        assert (port.device_id, port.device_owner) == (instance.id, "compute:nova")
        assert (port.binding_host_id, port.binding_vif_type) == ("h1", "bridge")
        assert instance.addresses == ("192.168.0.20",)
        orchestrator.delete("web-1")
    assert world.reality() == before


def test_p3_a_port_in_use_is_refused_and_stays_its_owners(world: World) -> None:
    with world.open() as orchestrator:
        owner = orchestrator.create(world.request("owner", NetworkRequest(port="brought")))
        there = world.reality()
        assert (
            refused(world, orchestrator, world.request("web-1", "net", NetworkRequest(port="brought"))) == "PortInUse"
        )
        assert world.network.show_port(ADMIN, brought(world)).device_id == owner.id
    assert world.reality() == there


def test_p3_a_port_that_another_instance_took_meanwhile_is_not_taken_from_it(world: World) -> None:
    """Both saw it free; the first one that takes it has it."""
    request = world.request("web-1", "net", NetworkRequest(port="brought"))
    with world.open() as orchestrator:

        def build_the_other(_event: Event) -> None:
            orchestrator.create(world.request("quicker", NetworkRequest(port="brought")))

        assert refused(world, orchestrator, request, before_ports(build_the_other)) == "PortInUse"
        quicker = orchestrator.show("quicker").instance
        port = world.network.show_port(ADMIN, brought(world))
        assert (port.device_id, port.binding_host_id) == (quicker.id, quicker.host)
        assert orchestrator.audit() == ()


def test_p3_a_port_of_another_project_is_not_found(world: World) -> None:
    with world.open() as orchestrator:
        request = world.request("web-1", NetworkRequest(port=brought(world)), project="elsewhere")
        assert refused(world, orchestrator, request) == "PortNotFound"


@pytest.mark.parametrize(("dns_name", "kind"), [("web-1", ""), ("WEB-1", ""), ("db-1", "PortNotUsable")])
def test_p3_a_port_with_another_hosts_dns_name_cannot_be_used(dns_name: str, kind: str, world: World) -> None:
    request = world.request("Web_1", NetworkRequest(port="brought"))
    with world.open() as orchestrator:
        world.network.update_port(ADMIN, brought(world), dns_name=dns_name)
        if kind:
            assert refused(world, orchestrator, request) == kind
        else:
            assert orchestrator.create(request).vm_state == "ACTIVE"


@pytest.mark.parametrize("network", ["net", "bare"])
def test_p3_a_port_without_an_address_cannot_be_used(network: str, world: World) -> None:
    before = world.reality()
    with world.open() as orchestrator:
        (net,) = world.network.list_networks(USER, name=network)
        port = world.network.create_port(USER, name="empty", network_id=net.id, fixed_ips=[])
        request = world.request("web-1", "net", NetworkRequest(port="empty"))
        assert refused(world, orchestrator, request) == "PortRequiresFixedIP"
        world.network.delete_port(USER, port.id)
    assert world.reality() == before


# --- P4: security groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "groups"), [("bare", ()), ("bare", ("default",)), ("open", ("default",))])
def test_p4_groups_need_a_subnet_and_port_security(network: str, groups: tuple[str, ...], world: World) -> None:
    before = world.reality()
    with world.open() as orchestrator:
        kind = refused(world, orchestrator, world.request("web-1", network, security_groups=groups))
    assert kind == "SecurityGroupCannotBeApplied"
    assert world.reality() == before


def test_p4_without_port_security_and_groups_there_is_a_port_without_groups(world: World) -> None:
    with world.open() as orchestrator:
        (port,) = world.ports(orchestrator.create(world.request("web-1", "open")))
        assert (port.security_groups, port.port_security_enabled) == ((), False)


def test_p4_an_unknown_group_is_refused(world: World) -> None:
    with world.open() as orchestrator:
        kind = refused(world, orchestrator, world.request("web-1", security_groups=("default", "unknown")))
    assert kind == "SecurityGroupNotFound"


# --- P5 and P6: what ports carry, and on whose behalf -------------------------------------------------------------


def test_p5_a_port_carries_all_that_nova_gives_it(world: World) -> None:
    with world.open() as orchestrator:
        nic = NetworkRequest("net", fixed_ip="192.168.0.77")
        group = world.network.create_security_group(USER, name="web")
        request = world.request("web-1", nic, security_groups=("web", "default"), zone="nova")
        instance = orchestrator.create(request)
        (port,) = world.ports(instance)
        groups = {found.name: found.id for found in world.network.list_security_groups(USER)}
    assert (port.device_id, port.device_owner, port.project_id) == (instance.id, "compute:nova", "demo")
    assert [ip.ip_address for ip in port.fixed_ips] == ["192.168.0.77"]
    assert port.admin_state_up
    assert set(port.security_groups) == {group.id, groups["default"]}
    assert port.mac_address.startswith("fa:16:3e:")
    assert (port.binding_host_id, port.binding_vif_type) == (instance.host, "bridge")
    assert port.dns_name == "web-1"


@pytest.mark.parametrize(
    ("name", "dns_name"),
    [("DB_1", "db-1"), ("web.example.org", "web.example.org"), ("10.0", ""), ("x" * 63, "x" * 63)],
)
def test_p5_a_port_is_called_as_its_guest_is_where_that_is_a_dns_name(name: str, dns_name: str, world: World) -> None:
    with world.open() as orchestrator:
        (port,) = world.ports(orchestrator.create(world.request(name)))
    assert port.dns_name == dns_name


def test_p5_the_owner_names_the_hosts_zone(make_world: Maker) -> None:
    world = make_world(hosts=1, host="vcpus: 8, memory: 16GiB, disk: 100GiB, zone: rack-b")
    with world.open() as orchestrator:
        (port,) = world.ports(orchestrator.create(world.request()))
        assert port.device_owner == "compute:rack-b"


def test_p6_ports_are_made_as_the_user_and_bound_as_the_administrator(world: World) -> None:
    with world.open() as orchestrator:
        orchestrator.create(world.request("web-1", "net", NetworkRequest(port="brought")))
        asked = world.network.asked
    assert asked == [("create_port", False), ("take", False), ("bind", True), ("bind", True)]


# --- P7: errors in Nova's words -----------------------------------------------------------------------------------


def test_p7_no_address_left(world: World) -> None:
    with world.open() as orchestrator:
        orchestrator.create(world.request("web-0", "tiny", "tiny"))
        assert refused(world, orchestrator, world.request("web-1", "tiny")) == "NoMoreFixedIps"


def test_p7_an_address_that_was_taken_meanwhile(world: World) -> None:
    """Nova's check of the address is a look at the ports; the address may be taken after it."""
    wanted = NetworkRequest("net", fixed_ip="192.168.0.50")
    with world.open() as orchestrator:

        def take_the_address(_event: Event) -> None:
            orchestrator.create(world.request("quicker", wanted))

        request = world.request("web-1", "net", wanted)
        assert refused(world, orchestrator, request, before_ports(take_the_address)) == "FixedIpAlreadyInUse"
        assert orchestrator.show("quicker").instance.addresses == ("192.168.0.50",)


def test_p7_over_quota(world: World) -> None:
    with world.open() as orchestrator:
        world.network.set_quotas(ADMIN, "demo", port=2)
        assert refused(world, orchestrator, world.request("web-1", "net", "net")) == "PortLimitExceeded"
        assert orchestrator.create(world.request("web-2", "net")).vm_state == "ACTIVE"


@pytest.mark.parametrize(
    ("call", "error", "kind"),
    [
        ("create_port", errors.MacAddressInUse, "PortInUse"),
        ("bind", errors.MacAddressInUse, "PortInUse"),
        ("create_port", errors.IpAddressInUse, "FixedIpAlreadyInUse"),
        ("create_port", errors.PolicyNotAuthorized, "PolicyNotAuthorized"),
        ("create_port", errors.MacAddressGenerationFailure, "MacAddressGenerationFailure"),
    ],
)
def test_p7_other_errors(call: str, error: type[Exception], kind: str, world: World) -> None:
    before = world.reality()
    with world.open(Fault(call, Mode.ERROR, raises=error)) as orchestrator:
        assert refused(world, orchestrator, world.request()) == kind
    assert world.reality() == before


# --- P8: any failure ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [0, 1, 2])
@pytest.mark.parametrize("call", ["create_port", "bind"])
def test_p8_whichever_port_fails_those_before_it_go_and_the_one_brought_along_stays(
    call: str, nth: int, world: World
) -> None:
    """Nova LP2134375: an error at the n-th port left those before it."""
    before = world.reality()
    nics = ("net", NetworkRequest(port="brought"), "other", "net")
    faults = world.faults(Fault(call, Mode.ERROR, nth, lambda: errors.BadRequest("the first error")))
    with world.open(faults) as orchestrator:
        assert refused(world, orchestrator, world.request("web-1", *nics)) == "BadRequest"
        assert faults.fired
    assert world.reality() == before
