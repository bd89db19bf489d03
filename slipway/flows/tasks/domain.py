"""Make the machine itself: its XML, the domain, and the wait until it runs."""

from __future__ import annotations

from slipway.drivers.compute.domain_xml import build_domain_xml, domain_name
from slipway.errors import ComputeError, StepTimeout
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.machine import Disk, Domain, PowerState, Vif
from slipway.model.record import Scope
from slipway.model.request import Host
from slipway.states.intent import Durability
from slipway.states.machines import Move


class ComputeTask(Task):
    """A step that the hypervisor carries out."""

    scope = Scope.HOST

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """As the driver says."""
        return Durability.LOCAL if host and tools.drivers.on(host).compute.local else Durability.FOREIGN


class BuildXml(ComputeTask):
    """Write the libvirt domain XML, whatever the hypervisor (L2)."""

    name = "build-xml"
    kind = "definition"
    in_build_only = True
    vital = True
    enters = Move.SPAWN

    def do(self, work: BuildWork, vifs: tuple[Vif, ...], disks: tuple[Disk, ...], seed: tuple[Disk, ...]) -> Domain:
        """Raises an `AbortBuild` when a name cannot stand in XML."""
        assert work.host is not None
        instance, flavor = work.instance, work.instance.request.flavor
        platform = work.on_host.compute.platform_for_instance(instance.id)
        if platform.news:
            work.tell(platform.news)
        xml = build_domain_xml(instance, work.host, (*disks, *seed), vifs, platform)
        work.on_host.compute.write_definition(instance.id, xml)
        return Domain(instance.id, domain_name(instance), flavor.vcpus, flavor.memory, instance.generation, xml)

    def undo(self, work: BuildWork, result: Domain | None) -> None:
        """Delete the file."""
        work.on_host.compute.delete_definition(work.instance.id)


class Spawn(ComputeTask):
    """Define the domain and start it. While it may still run, everything that it uses stays held."""

    name = "spawn"
    kind = "domain"
    in_build_only = True
    vital = True
    uses = frozenset({"claim", "port", "binding", "disk", "seed", "definition", "vif", "filter", "dhcp-port", "dhcp"})

    def do(self, work: BuildWork, definition: Domain) -> None:
        """Raises `ComputeError` and its subclasses."""
        work.on_host.compute.spawn(definition)

    def undo(self, work: BuildWork, result: None) -> None:
        """Destroy and undefine it."""
        work.on_host.compute.destroy(work.instance.id)


class Wait(ComputeTask):
    """Wait until the domain runs, looking every half second (L4). Needs no undo and no record: it only looks."""

    name = "wait"
    kind = "running"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A look at the hypervisor, that a resume repeats."""
        return Durability.PURE

    def do(self, work: BuildWork) -> None:
        """Raises `ComputeError` when the domain ended, `StepTimeout` when it does not run before the deadline."""
        tools = work.tools
        while (state := work.on_host.compute.power_state(work.instance.id)) is not PowerState.RUNNING:
            if state in (PowerState.CRASHED, PowerState.SHUTDOWN):
                raise ComputeError(f"the domain of {work.instance.name} is {state} instead of running")
            if tools.monotonic() >= work.deadline:
                raise StepTimeout(f"the domain of {work.instance.name} is {state} and did not run in time")
            work.check()
            tools.sleep(tools.settings.poll_interval)
