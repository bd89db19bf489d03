"""A domain that somebody has made by hand becomes an instance: built anew on its disks, with its MACs, and let go then.

Its build is like any other. What goes wrong is undone, and the domain is as it was; only when the instance is there the
domain is undefined, which is done again by whoever asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from uuid import UUID

from slipway import errors
from slipway.checks import mistakes_of
from slipway.drivers.compute.handmade import HandMade
from slipway.drivers.network.base import NetworkDriver
from slipway.flows.tasks.base import Tools
from slipway.model.network import Context
from slipway.model.neutron import ADMIN
from slipway.model.record import Instance, Stack
from slipway.model.request import Boot, Flavor, Host, Image, InstanceRequest, NetworkRequest
from slipway.operations.hosts import check_here
from slipway.states import hosts, instances, stacks
from slipway.states.stacks import Kind

Create = Callable[[InstanceRequest], Instance]
Delete = Callable[[str], Instance]


def adopt(
    tools: Tools, stack: Stack, name: str, host_name: str, networks: Sequence[str], create: Create, delete: Delete
) -> Instance:
    """Have the domain of this name on the host be an instance of the stack. `networks`: one for each of its NICs.

    Raises `HostNotFound`, `HostElsewhere`, `NothingToImport`, `ImportRefused` with all that speaks against it, and what
    a build does: then nothing is left of it, and the domain is as it was.
    """
    with tools.store.read() as tx:
        host = hosts.get(tx, host_name)
        check_here(tx, [host_name], tools.drivers)
    compute = tools.drivers.on(host).compute
    found = compute.hand_made(name)
    if found is None:
        raise errors.NothingToImport(f"host {host_name} has no domain {name} that is nobody's")
    if refused := [*found.refused, *_refused(tools, stack, found, host, networks)]:
        raise errors.ImportRefused(f"domain {name} of host {host_name} stays what it is: {'; '.join(refused)}")
    network = tools.drivers.network
    ports = _ports(network, stack, found, networks)
    try:
        instance = create(_request(found, host, stack, ports))
    except errors.SlipwayError:
        _take_back(tools, stack, found, delete, ports)
        raise
    with tools.store.write() as tx:
        instances.take_into(tx, instance.id, stack.name)
        for port in ports:
            if stacks.stack_of(tx, Kind.PORT, port) is None:
                stacks.add(tx, stack, Kind.PORT, port)
    compute.forget_hand_made(found.id)
    with tools.store.read() as tx:
        return instances.get(tx, instance.id)


def _refused(tools: Tools, stack: Stack, found: HandMade, host: Host, networks: Sequence[str]) -> Iterator[str]:
    if len(networks) != len(found.macs):
        nics = f"{len(found.macs)} NIC" + ("" if len(found.macs) == 1 else "s")
        yield f"it has {nics}, and {len(networks)} networks were said: say one for each, in their order"
    known = tools.drivers.network.list_networks(Context(stack.project))
    for network in networks:
        if not any(network in (one.id, one.name) for one in known):
            yield f"project {stack.project} has no network {network}"
    for mistake in mistakes_of(_request(found, host, stack, ()), InstanceRequest):
        yield mistake.text
    with tools.store.read() as tx, suppress(errors.InstanceNotFound):
        there = instances.find(tx, found.name, stack.project)
        if there is not None and there.request.idempotency_key != _key(found, host):
            yield f"project {stack.project} has an instance {found.name} already"


def _key(found: HandMade, host: Host) -> str:
    return f"import {host.name} {UUID(found.id)}"


def _request(found: HandMade, host: Host, stack: Stack, ports: Sequence[str]) -> InstanceRequest:
    boot = Boot.VOLUME if found.kernel is None else Boot.DISK
    return InstanceRequest(
        name=found.name,
        flavor=Flavor(found.name, found.vcpus, found.memory, 0),
        image=Image(
            found.name,
            kernel=found.kernel,
            initrd=found.initrd,
            cmdline=found.cmdline,
            machine=found.machine,
            boot=boot,
        ),
        networks=tuple(NetworkRequest(port=port) for port in ports),
        project=stack.project,
        host=host.name,
        disks=found.disks,
        idempotency_key=_key(found, host),
    )


def _ports(network: NetworkDriver, stack: Stack, found: HandMade, networks: Sequence[str]) -> Sequence[str]:
    """A port with the MAC of each of its NICs; made before by one who was killed: that one."""
    user, made = Context(stack.project), []
    known = network.list_networks(user)
    try:
        for number, (mac, name) in enumerate(zip(found.macs, networks, strict=True)):
            home = next(one for one in known if name in (one.id, one.name))
            port = network.create_port(
                ADMIN,
                key=f"import/{found.id}/{number}",
                network_id=home.id,
                project_id=stack.project,
                name=f"{found.name}-{number}",
                mac_address=mac,
            )
            made.append(port.id)
    except errors.SlipwayError:
        _delete_ports(network, made)
        raise
    return made


def _take_back(tools: Tools, stack: Stack, found: HandMade, delete: Delete, ports: Sequence[str]) -> None:
    with tools.store.read() as tx:
        left = instances.find(tx, found.name, stack.project)
    if left is not None:
        delete(left.id)
    _delete_ports(tools.drivers.network, ports)


def _delete_ports(network: NetworkDriver, ports: Sequence[str]) -> None:
    for port in ports:
        with suppress(errors.PortNotFound):
            network.delete_port(ADMIN, port)
