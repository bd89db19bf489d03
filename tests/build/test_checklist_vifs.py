"""The checklist's rows I1 to I3 and P9: the VIFs that a build ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lxml import etree

from slipway.model.machine import Nic, Vif
from slipway.model.network import Context
from slipway.model.record import Event, Instance
from slipway.model.request import NetworkRequest
from slipway.orchestrator import Orchestrator
from slipway.states import codec

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

DUAL = """
  dual:
    subnets:
      four: {cidr: 10.0.0.0/24}
      six: {cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}
"""
NARROW = """
  narrow:
    mtu: 1400
    subnets:
      v4-narrow: {cidr: 10.9.0.0/24, dns: [10.9.0.5]}
"""
USER = Context("demo")


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=3, net=DUAL)


def vifs(orchestrator: Orchestrator, instance: Instance) -> list[Vif]:
    effects = orchestrator.show(instance.id).effects
    return [codec.decode(e.result, Vif) for e in effects if e.kind == "binding" and e.state == "done" and e.result]


def test_i1_the_result_is_kept_and_does_not_depend_on_the_network_service(world: World) -> None:
    with world.open() as orchestrator:
        built = orchestrator.create(world.request("web-1", "net", "dual"))
    faults = world.faults()
    with world.open(faults) as orchestrator:
        again = orchestrator.show("web-1").instance
        (first, second) = vifs(orchestrator, again)
    assert again.addresses == built.addresses == tuple(ip.ip_address for vif in (first, second) for ip in vif.fixed_ips)
    assert [name for name, _ in faults.calls if name != "commit"] == []


def test_i2_the_vif_is_as_nova_models_it(make_world: Maker) -> None:
    world = make_world(hosts=1, net=NARROW)
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "narrow", NetworkRequest(port="brought")))
        made, brought = vifs(orchestrator, instance)
        ports = {port.id: port for port in world.ports(instance)}
        networks = {network.id: network for network in world.network.list_networks(USER)}
    for vif in (made, brought):
        port = ports[vif.port_id]
        assert vif.devname == ("tap" + port.id)[:14]
        assert vif.bridge == ("brq" + port.network_id)[:14]
        assert (vif.mac_address, vif.fixed_ips, vif.vnic_type) == (port.mac_address, port.fixed_ips, "normal")
        assert vif.vif_type == port.binding_vif_type == "bridge"
        assert vif.network_name == networks[vif.network_id].name
        assert [subnet.id for subnet in vif.subnets] == [ip.subnet_id for ip in port.fixed_ips]
    (subnet,) = made.subnets
    assert (made.mtu, subnet.gateway_ip, subnet.dns_nameservers) == (1400, "10.9.0.1", ("10.9.0.5",))
    assert (made.preserve_on_delete, brought.preserve_on_delete) == (False, True)


@pytest.mark.parametrize("up", [True, False])
def test_i2_a_port_that_is_administratively_down_counts_as_active(up: bool, world: World) -> None:
    with world.open() as orchestrator:
        (port,) = [port for port in world.ports() if port.name == "brought"]
        admin = Context("demo", is_admin=True)
        world.network.update_port(admin, port.id, admin_state_up=up)
        instance = orchestrator.create(world.request("web-1", NetworkRequest(port="brought")))
        (vif,) = vifs(orchestrator, instance)
    assert vif.active is not up


def test_i2_the_order_of_the_nics_is_that_of_the_request(world: World) -> None:
    nics = (NetworkRequest("dual"), NetworkRequest(port="brought"), NetworkRequest("net", fixed_ip="192.168.0.50"))
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", *nics, "net"))
        found = vifs(orchestrator, instance)
        xml = next((world.state / "instances" / "h1").glob("*.xml")).read_text()
    assert [vif.network_name for vif in found] == ["dual", "net", "net", "net"]
    addresses = [vif.fixed_ips[0].ip_address for vif in found]
    assert addresses == ["10.0.0.2", "192.168.0.20", "192.168.0.50", "192.168.0.2"]
    domain = etree.fromstring(xml)
    assert domain.xpath("devices/interface/mac/@address") == [vif.mac_address for vif in found]
    assert domain.xpath("devices/interface/target/@dev") == [vif.devname for vif in found]


def test_i3_a_port_that_somebody_deleted_is_noted_and_does_not_stop_a_delete(world: World) -> None:
    before = world.reality()
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", NetworkRequest(port="brought")))
        (made,) = [port for port in world.ports(instance) if port.name != "brought"]
        world.network.delete_port(Context("demo"), made.id)
        found = {(f.difference.value, f.kind, f.name) for f in orchestrator.audit()}
        assert found == {("missing", "port", made.id), ("missing", "binding", made.id)}
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        assert orchestrator.audit() == ()
    assert world.reality() == before


def test_p9_only_what_this_build_made_or_took_is_its(world: World) -> None:
    """P9, I2: a port that bears the instance's id by another's doing is not shown and not touched."""
    admin = Context("demo", is_admin=True)
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "bindings"):
                (net,) = world.network.list_networks(USER, name="net")
                world.network.create_port(admin, network_id=net.id, name="foreign", device_id=event.instance_id)

        instance = orchestrator.create(world.request(), on_event=listen)
        (vif,) = vifs(orchestrator, instance)
        effects = orchestrator.show("web-1").effects
        (nic,) = [codec.decode(e.result, Nic) for e in effects if e.kind == "port" and e.result]
        assert vif.port_id == nic.port.id
        assert instance.addresses == ("192.168.0.2",)
        assert len(world.ports(instance)) == 2
        orchestrator.delete("web-1")
        assert [port.name for port in world.ports(instance)] == ["foreign"]
