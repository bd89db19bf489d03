"""What the tests of drivers build on: instances and domains of any name and size."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from slipway.drivers.compute.domain_xml import build_domain_xml, domain_name
from slipway.model.machine import Domain, Vif
from slipway.model.record import Instance
from slipway.model.request import Flavor, Host, Image, InstanceRequest

MIB = 1 << 20
TINY = Image("tiny", path="/images/tiny.qcow2")


@pytest.fixture
def make_instance() -> Callable[..., Instance]:
    def make(
        name: str = "web-1",
        *,
        project: str = "demo",
        memory: int = 512 * MIB,
        image: Image = TINY,
        flavor: str | Flavor = "small",
    ) -> Instance:
        size = Flavor(flavor, 1, memory, 2048 * MIB) if isinstance(flavor, str) else flavor
        request = InstanceRequest(name, size, image, project=project)
        return Instance(
            id=str(uuid.uuid4()),
            name=name,
            project=project,
            vm_state="BUILDING",
            task_state="SPAWNING",
            generation=3,
            request=request,
            host="node-1",
            fault=None,
            attempt=1,
            created_at=datetime.now(UTC),
            workflow="build-instance",
        )

    return make


@pytest.fixture
def make_vif() -> Callable[..., Vif]:
    def make(slot: int = 0, *, mtu: int = 1450, vif_type: str = "bridge") -> Vif:
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

    return make


@pytest.fixture
def make_domain(make_instance: Callable[..., Instance]) -> Callable[..., Domain]:
    """A domain as the build makes it; `name` is the instance's, `vifs` go into its XML."""

    def make(name: str = "web-1", *, memory: int = 512 * MIB, vifs: tuple[Vif, ...] = ()) -> Domain:
        instance = make_instance(name, memory=memory)
        host = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
        xml = build_domain_xml(instance, host, (), vifs)
        return Domain(instance.id, domain_name(instance), 1, memory, instance.generation, xml)

    return make
