"""Slipway inside another program: build what a file says, or what the program says; be told what happens; ask; take it
all back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from slipway import (
    Event,
    Flavor,
    GiB,
    Host,
    Image,
    InstanceRequest,
    MiB,
    NetworkRequest,
    Orchestrator,
    errors,
    load,
)

SMALL = Flavor("small", vcpus=1, memory=512 * MiB, disk=2 * GiB)
TINY = Image("tiny", path="/images/tiny.qcow2", format="qcow2")


def told(event: Event) -> None:
    if event.type.startswith("instance."):
        print(f"{event.type:24} {event.name}  {event.message}")


def main(state: Path) -> None:
    file = load(Path(__file__).with_name("smallest.yaml"))
    with Orchestrator(state, settings=file.settings) as slipway:
        result = slipway.run(file, on_event=told)
        for ended in result.ended:
            print(f"{ended.name} was {ended.status}")
        for instance in slipway.list():
            print(f"{instance.name} is {instance.vm_state} on {instance.host} with {', '.join(instance.addresses)}")
        print(f"{len(slipway.audit())} differences between record and reality")
        slipway.destroy(file, on_event=told)


def without_a_file(state: Path) -> None:
    with Orchestrator(state) as slipway:
        slipway.add_host(Host("node-1", vcpus=8, memory=32 * GiB, disk=500 * GiB))
        net = slipway.network.create_network(name="demo-net")
        slipway.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24")
        web = InstanceRequest("web-2", SMALL, TINY, networks=(NetworkRequest("demo-net"),), idempotency_key="order-66")
        built = slipway.create(web, on_event=told)
        print(f"{built.name} is {built.vm_state} on {built.host} with {', '.join(built.addresses)}")
        print(f"the same request again gives the same instance: {slipway.create(web) == built}")
        try:
            slipway.create(InstanceRequest("web/3", Flavor("none", vcpus=0, memory=GiB, disk=0), TINY))
        except errors.InvalidRequest as refused:
            print("\n".join(refused.problems))
        slipway.delete("web-2", on_event=told)
        slipway.network.delete_network(net.id)
        slipway.remove_host("node-1")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory) / "file")
        without_a_file(Path(directory) / "program")
