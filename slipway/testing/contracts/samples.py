"""What the contracts ask of drivers: instances, VIFs and domains of any name and size."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from slipway.drivers.compute.domain_xml import build_domain_xml, domain_name
from slipway.model.machine import Domain, Vif
from slipway.model.record import Instance
from slipway.model.request import Flavor, Host, Image, InstanceRequest

MIB = 1 << 20
GIB = 1 << 30

HOST = Host("node-1", vcpus=8, memory=16 * GIB, disk=1024 * GIB)
"""The host whose drivers are tested; put your own `uri` and the like into it with `msgspec.structs.replace`."""

PATIENCE = 600.0
"""Seconds to wait for what happens elsewhere; only a test that has failed comes to them."""

TINY = Image("tiny", path="/images/tiny.qcow2")


def make_instance(
    name: str = "web-1",
    *,
    project: str = "demo",
    memory: int = 512 * MIB,
    image: Image = TINY,
    flavor: str | Flavor = "small",
) -> Instance:
    """An instance that is being built; with an id that no other has."""
    size = Flavor(flavor, 1, memory, 2048 * MIB) if isinstance(flavor, str) else flavor
    return Instance(
        id=str(uuid.uuid4()),
        name=name,
        project=project,
        vm_state="BUILDING",
        task_state="SPAWNING",
        generation=3,
        request=InstanceRequest(name, size, image, project=project),
        host=HOST.name,
        fault=None,
        attempt=1,
        created_at=datetime.now(UTC),
        workflow="build-instance",
    )


def make_vif(slot: int = 0, *, mtu: int = 1450, vif_type: str = "bridge") -> Vif:
    """A VIF without addresses on a network of its own."""
    port, network = str(uuid.uuid4()), str(uuid.uuid4())
    return Vif(
        port_id=port,
        network_id=network,
        network_name="demo-net",
        mac_address=f"fa:16:3e:00:00:{slot:02x}",
        devname=f"tap{port[:11]}",
        bridge=f"brq{network[:11]}",
        mtu=mtu,
        vif_type=vif_type,
        vnic_type="normal",
        fixed_ips=(),
        subnets=(),
        active=True,
        preserve_on_delete=False,
    )


def make_domain(name: str = "web-1", *, memory: int = 512 * MIB, vifs: tuple[Vif, ...] = ()) -> Domain:
    """A domain as the build makes it; `name` is the instance's, `vifs` go into its XML."""
    instance = make_instance(name, memory=memory)
    xml = build_domain_xml(instance, HOST, (), vifs)
    return Domain(instance.id, domain_name(instance), 1, memory, instance.generation, xml)


MEASURES = frozenset({"measure", "capacity", "nics"})
"""What a driver need not have: where nothing is measured, what a host's entry says counts."""


def lacking(driver: object, protocol: type) -> set[str]:
    """What the protocol names and a driver must have, and this one has not."""
    named = {*protocol.__annotations__, *(name for name, what in vars(protocol).items() if callable(what))}
    return {name for name in named - MEASURES if not name.startswith("_") and not hasattr(driver, name)}
