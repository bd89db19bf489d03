"""The steps of changes: what an instance that was built is defined as from now on, and its domain made that."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.drivers.compute.domain_xml import build_domain_xml
from slipway.errors import RecordDamaged
from slipway.flows.tasks.allocate import AllocateNetwork, one_way_out
from slipway.flows.tasks.base import BuildWork, Tools
from slipway.flows.tasks.change_claim import ClaimMore
from slipway.flows.tasks.change_disks import MapNewDisks
from slipway.flows.tasks.change_guest import OF_GUESTS
from slipway.flows.tasks.change_nics import CheckWiring
from slipway.flows.tasks.change_rebuild import OF_REBUILDS, RemakeRoot
from slipway.flows.tasks.change_size import GrowDisk, as_grown
from slipway.flows.tasks.change_words import OF_WORDS
from slipway.flows.tasks.domain import ComputeTask
from slipway.flows.tasks.moving import OF_MOVES
from slipway.flows.tasks.moving_live import OF_LIVE_MOVES
from slipway.flows.tasks.moving_ports import TryBinding
from slipway.model.change import Change
from slipway.model.machine import Allocation, Claim, Disk, Domain, Nic, Vif, VifRequirements
from slipway.model.record import Effect, EffectState
from slipway.model.request import Host, InstanceRequest
from slipway.states import codec
from slipway.states.effects import effects_of, results
from slipway.states.intent import Durability
from slipway.states.quotas import size_of


class AllocateInterface(AllocateNetwork):
    """Resolve the NIC that is to be attached to its network or port, and check it before anything is made.

    Needs no undo: it only looks.
    """

    name = "allocate-interface"
    kind = "interface-allocation"

    def do(self, work: BuildWork, requirements: VifRequirements) -> Allocation:
        """Raises what `allocate-network` does."""
        assert work.change is not None
        wanted = replace(work.instance.request, networks=work.change.nics)
        made = super().do(replace(work, instance=replace(work.instance, request=wanted)), requirements)
        before = [nic.request for nic in results(_effects(work), "port", Nic)]
        return Allocation(one_way_out(made.requests, before))


class NewDefinition(ComputeTask):
    """Say what the domain is to be: with the NICs and disks that stand by now, but for those that are to go.

    Needs no undo: it only looks. It is recorded, since what is defined from it must be the same after a crash.
    """

    name = "new-definition"
    kind = "new-definition"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only."""
        return Durability.RECORDED

    def do(self, work: BuildWork) -> Domain:
        """Raises an `AbortBuild` when a name cannot stand in XML."""
        assert work.host is not None
        assert work.change is not None
        there = [effect for effect in _effects(work) if effect.key not in work.change.retired]
        disks = results(there, "disk", Disk) + results(there, "seed", Disk)
        vifs = results(there, "binding", Vif)
        platform = work.on_host.compute.platform_for_instance(work.instance.id)
        instance, flavor = replace(work.instance, name=work.instance.request.name), work.instance.request.flavor
        # The domain's own name is that with which it was made: libvirt names its logs after it.
        called = defined(_effects(work)).name
        xml = build_domain_xml(instance, work.host, disks, vifs, platform, called)
        return Domain(instance.id, called, flavor.vcpus, flavor.memory, instance.generation, xml)


class RewriteDefinition(ComputeTask):
    """Have the file with the domain's XML say what the domain is to be."""

    name = "rewrite-definition"
    kind = "rewritten-definition"
    in_build_only = True
    vital = True
    passing = True

    def do(self, work: BuildWork, definition: Domain) -> None:
        """Raises `ComputeError`."""
        work.on_host.compute.write_definition(definition.instance_id, definition.xml)

    def undo(self, work: BuildWork, result: None) -> None:
        """Have it say what it said before."""
        before = defined(_effects(work))
        work.on_host.compute.write_definition(before.instance_id, before.xml)


class Reshape(ComputeTask):
    """Make the domain what it is to be, while its guest runs as far as the hypervisor can."""

    name = "reshape"
    kind = "reshaped-domain"
    in_build_only = True
    vital = True
    passing = True
    uses = frozenset({"claim", "port", "binding", "disk", "vif", "filter", "dhcp-port", "dhcp", "more-claimed"})

    def do(self, work: BuildWork, definition: Domain) -> None:
        """Raises `ComputeError`, also where the guest does not let go of what is to be detached."""
        work.on_host.compute.redefine(definition, instead_of=defined(_effects(work)))

    def undo(self, work: BuildWork, result: None, definition: Domain) -> None:
        """Make it what it was before."""
        work.on_host.compute.redefine(defined(_effects(work)), instead_of=definition)


OF_CHANGES = (
    AllocateInterface,
    CheckWiring,
    ClaimMore,
    MapNewDisks,
    NewDefinition,
    RewriteDefinition,
    Reshape,
    *OF_GUESTS,
    GrowDisk,
    *OF_WORDS,
    *OF_MOVES,
    TryBinding,
    *OF_LIVE_MOVES,
    *OF_REBUILDS,
)


def defined(effects: Sequence[Effect]) -> Domain:
    """What the domain is defined as, by the effects that stand. Raises `RecordDamaged` where that is not on record."""
    for effect in effects:
        if effect.kind == "definition" and effect.state is EffectState.DONE and effect.result:
            return codec.decode(effect.result, Domain)
    raise RecordDamaged("the record does not have the domain's XML")


def as_changed(effects: Sequence[Effect], change: Change) -> list[Effect]:
    """The effects of the build that are something else from now on, as a change has made them."""
    made = {effect.kind: effect.result for effect in effects if effect.kind in _REPLACES}
    changed = [
        replace(effect, result=made[new])
        for effect in effects
        for new, old in _REPLACES.items()
        if effect.kind == old and new in made and effect.state is EffectState.DONE
    ]
    return (
        changed
        + as_grown(effects, change)
        + _as_remade(effects)
        + [
            replace(effect, result=codec.encode(_claiming(codec.decode(effect.result, Claim), change.request)))
            for effect in effects
            if effect.kind == "claim" and effect.state is EffectState.DONE and effect.result
        ]
    )


def _as_remade(effects: Sequence[Effect]) -> list[Effect]:
    """The root disk's effect as it is once a change has made the disk anew."""
    made = [effect.result for effect in effects if effect.kind == RemakeRoot.kind and effect.result]
    return [
        replace(effect, result=codec.encode(disk))
        for effect in effects
        for disk in (codec.decode(result, Disk) for result in made)
        if effect.kind == "disk" and effect.state is EffectState.DONE and effect.slot == disk.slot
    ]


def _claiming(claim: Claim, request: InstanceRequest) -> Claim:
    size = size_of(request)
    return replace(claim, vcpus=size.vcpus, memory=size.memory, disk=size.disk)


_REPLACES = {NewDefinition.kind: "definition"}
"""The kind of what a change has found, and of the build's effect whose result it is from then on."""


def _effects(work: BuildWork) -> Sequence[Effect]:
    with work.tools.store.read() as tx:
        return effects_of(tx, work.instance.id)
