"""What an audit found, in words for people who do not know the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.flows.scheduler import size
from slipway.model.machine import PowerState
from slipway.model.record import Effect, Instance
from slipway.operations.things import Held, Thing

_NOUNS = {
    "domain": "its domain",
    "boot-file": "the {name} that it starts from",
    "definition": "the file with its domain's XML",
    "disk": "its disk {name}",
    "seed": "its disk {name}",
    "snapshot": "the snapshot {name} of its disk",
    "aside": "what disk {name} was before its snapshot was restored",
    "port": "its port {name}",
    "binding": "the binding of its port {name}",
    "vif": "its tap {name}",
    "filter": "the packet filter of its port {name}",
    "dhcp": "the DHCP entry of its port {name}",
    "dhcp-port": "the port {name} of its network's DHCP server",
    "claim": "its claim",
}
_DOES = {
    PowerState.RUNNING: "runs",
    PowerState.PAUSED: "is paused",
    PowerState.SHUTDOWN: "is shut off",
    PowerState.CRASHED: "has crashed",
}


def noun(kind: str, name: str) -> str:
    """A thing of an instance; one of a kind that another package brought is called by its kind."""
    return _NOUNS.get(kind, f"its {kind} {{name}}").format(name=name)


def missing(thing: Thing) -> str:
    """Of something that is on record as made."""
    where = f" on {thing.host}" if thing.host else ""
    return f"{noun(thing.kind, thing.name)} is not there{where}"


def brought(path: str) -> str:
    """Of a disk that somebody else has attached to a guest that runs."""
    return f"the disk {path} is attached to its guest, and not on record"


def given(thing_name: str, who: str) -> str:
    """Of a NIC's port that somebody else has."""
    return f"its port {thing_name} was given to {who}"


def orphaned(thing: Thing) -> str:
    """Of something that bears our tag."""
    return "Slipway made it, and no instance on record has it"


def different(thing: Thing, said: Held, instance: Instance) -> str:
    """Of something that is on record in another way than it is. What is wrong in itself comes from its driver."""
    does = f"the instance is {instance.vm_state}, and its domain {what_it_does(said.state)}" if said.state else ""
    fault = f"{noun(thing.kind, thing.name)}: {said.fault}" if said.fault else ""
    return "; ".join(filter(None, (does, fault)))


def what_it_does(state: PowerState) -> str:
    """`runs`, `is shut off`."""
    return _DOES.get(state, f"is {state}")


def outdated(thing: Thing) -> str:
    """Of what did not follow a change of networks."""
    return f"{noun(thing.kind, thing.name)} is not by what port and network say now"


def counter(what: str, counted: int, claimed: int) -> str:
    """Of what is given out of a host."""
    texts = [str(value) if what == "vcpus" else size(value) for value in (counted, claimed)]
    return f"{texts[0]} of {what} are counted as given out, instances have claimed {texts[1]}"


def quota(what: str, counted: int, there: int) -> str:
    """Of what a project has."""
    texts = [size(value) if what in ("memory", "disk") else str(value) for value in (counted, there)]
    return f"{texts[0]} of {what} are counted as the project's, its instances have {texts[1]}"


def stuck(effect: Effect, known: Mapping[str, Effect]) -> str:
    """Of an effect that was to be taken back; `known`: all effects by their keys."""
    holder = known.get(effect.held_by or "")
    what = noun(effect.kind, str(effect.slot))
    if holder is not None:
        return f"{what} is kept for as long as {noun(holder.kind, str(holder.slot))} may use it"
    return f"{what} could not be taken back: {effect.error}"
