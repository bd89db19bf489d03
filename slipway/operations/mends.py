"""What a repair does about each difference that an audit finds, in words, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from slipway.model.machine import ENDED, DiskRole
from slipway.model.record import Instance
from slipway.operations.audit import Difference, Finding
from slipway.operations.orphans import ADOPTED
from slipway.states.machines import VmState


class Mend(Struct, frozen=True):
    """A difference, and what is done about it. `possible` false: nothing by a repair, and `action` says what can be.

    `loses`: something goes by it that nobody gets back; what nobody has asked for in person leaves that alone.
    `stops`: possible once the instance is stopped.
    """

    finding: Finding
    action: str
    possible: bool = True
    loses: bool = False
    stops: bool = False


def mends(
    findings: Sequence[Finding], known: Mapping[str, Instance], owned: Mapping[tuple[str, str], str]
) -> tuple[Mend, ...]:
    """One for each finding. `known`: the instances by id; `owned`: whose NICs' parts are, see `orphans.owners`."""
    running = {instance.id for instance in known.values() if instance.vm_state in (VmState.ACTIVE, VmState.PAUSED)}
    running -= {one.instance_id or "" for one in findings if one.kind == "domain" and _has_ended(one)}
    return tuple(_mend(one, known.get(one.instance_id or ""), running, owned) for one in findings)


def _has_ended(finding: Finding) -> bool:
    return finding.difference is Difference.MISSING or finding.state in ENDED


def _mend(finding: Finding, instance: Instance | None, running: set[str], owned: Mapping[tuple[str, str], str]) -> Mend:
    if finding.kind == "router":
        orphaned = finding.difference is Difference.ORPHANED
        return Mend(finding, "take it away" if orphaned else "have the host carry it again")
    match finding.difference:
        case Difference.UNREACHABLE:
            return Mend(finding, "have it answer again, then repair", possible=False)
        case Difference.DAMAGED:
            return Mend(finding, "delete the instance: nobody can go on with what cannot be read", possible=False)
        case Difference.UNFINISHED:
            return Mend(finding, "go on with it, forward or back")
        case Difference.STUCK:
            return _of_stuck(finding, instance)
        case Difference.ORPHANED:
            return _of_orphan(finding, instance, owned)
    if finding.kind == "counter":
        return Mend(finding, "count what instances have claimed")
    if finding.kind == "quota":
        return Mend(finding, "count what the project's instances have")
    if instance is None or instance.vm_state == VmState.ERROR:
        return Mend(finding, "take back what is left of it") if instance else _nobody(finding)
    if finding.kind == "domain":
        return Mend(finding, _of_domain(finding, instance))
    if finding.kind == "snapshot":
        gone = finding.name.partition("/")[2]
        text = f"nobody gets it back: slipway snapshot delete {instance.name} {gone} takes it off the record"
        return Mend(finding, text, possible=False)
    if finding.kind == "disk":
        return _of_disk(finding, instance, running)
    return Mend(finding, _AGAIN.get(finding.kind, "make it again"))


def _nobody(finding: Finding) -> Mend:
    return Mend(finding, "nobody knows whose it is", possible=False)


_AGAIN = {
    "claim": "claim it again",
    "definition": "write it again from the record",
    "port": "make the port again, with the same addresses and MAC",
    "binding": "bind the port again",
    "vif": "plug it again",
    "filter": "apply it again",
    "dhcp": "serve it again",
    "dhcp-port": "make the port again, and serve all whom its server serves",
}


def _of_stuck(finding: Finding, instance: Instance | None) -> Mend:
    if finding.kind == "quota":
        return Mend(finding, "count what the project's instances have")
    if instance is None:
        return _nobody(finding)
    if finding.untried and instance.vm_state != VmState.ERROR:
        return Mend(finding, "delete the instance, which takes it back", possible=False)
    return Mend(finding, "try again to take it back")


def _of_orphan(finding: Finding, instance: Instance | None, owned: Mapping[tuple[str, str], str]) -> Mend:
    if finding.kind == "claim":
        return Mend(finding, "release it")
    its_own = instance is not None and instance.host == finding.host and instance.vm_state != VmState.ERROR
    if finding.kind in ADOPTED and (its_own or (finding.kind, finding.name) in owned):
        action = "have it on record as its instance's; where the record has taken it back, so does this"
        return Mend(finding, action, loses=finding.kind in ("domain", "disk"))
    return Mend(finding, _REMOVED.get(finding.kind, "take it away"), loses=finding.kind != "binding")


_REMOVED = {
    "domain": "end and undefine it",
    "disk": "delete it, with all that is on it",
    "snapshot": "delete it",
    "port": "delete it, or give it back where somebody else made it",
    "binding": "unbind it",
}


def _of_domain(finding: Finding, instance: Instance) -> str:
    if finding.difference is Difference.MISSING:
        again = "define it again from the record"
        return f"{again}, and start it" if _starts(instance) else again
    if finding.state is None:
        return "have it as it was defined, without a stop"
    if instance.vm_state != VmState.ACTIVE:
        return "have it on record as what it does"
    if finding.state in ENDED:
        return "start it" if _starts(instance) else "have it on record as STOPPED: it has autostart: false"
    return "let it go on"


def _starts(instance: Instance) -> bool:
    return instance.vm_state == VmState.ACTIVE and instance.request.autostart


def _of_disk(finding: Finding, instance: Instance, running: set[str]) -> Mend:
    request = instance.request
    if finding.difference is Difference.DIFFERENT:
        if finding.role == "volume":
            return Mend(finding, "put the volume back where it was", possible=False)
        return Mend(finding, f"fetch image {request.image.name} again")
    if finding.role == DiskRole.SEED:
        if request.user_data_sha256 or any(file.sha256 for file in request.files):
            text = "delete the instance and build it anew: its user data and files are not kept once it is built"
            return Mend(finding, text, possible=False)
        return Mend(finding, "make the seed again")
    if finding.role == "volume":
        if instance.id in running:
            text = "stop it, then repair: a volume that a guest has open cannot be looked through"
            return Mend(finding, text, possible=False, stops=True)
        return Mend(finding, "take the volume again")
    if instance.id in running:
        text = "save from within the guest what matters, for its domain has the last copy open; stop it, then repair"
        return Mend(finding, text, possible=False, stops=True)
    return Mend(finding, "make it anew: what the guest had written on it is lost", loses=True)
