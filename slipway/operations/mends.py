"""What a repair does about each difference that an audit finds, in words, before anything is done."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from slipway.model.machine import ENDED, DiskRole
from slipway.model.record import Instance
from slipway.operations.audit import GIVEN, Difference, Finding
from slipway.operations.orphans import ADOPTED
from slipway.states.machines import State, VmState, is_known


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
    lacking = {one.instance_id: one.name for one in findings if one.kind == "boot-file"}
    damaged = {one.instance_id for one in findings if one.difference is Difference.DAMAGED}

    def told(finding: Finding) -> Mend:
        instance = known.get(finding.instance_id or "")
        mend = _mend(finding, instance, running, owned)
        return _unless_unreadable(_unless_it_lacks(mend, instance, lacking), instance, damaged)

    return tuple(map(told, findings))


def _unless_unreadable(mend: Mend, instance: Instance | None, damaged: Container[str | None]) -> Mend:
    """What a delete could not take back, since its row cannot be read, nothing takes back."""
    stays = mend.finding.difference in (Difference.DAMAGED, Difference.STUCK)
    if not stays or instance is None or instance.id not in damaged or instance.vm_state != VmState.ERROR:
        return mend
    text = "take the record from a backup (slipway restore): what cannot be read cannot be taken back"
    return replace(mend, action=text, possible=False)


def _unless_it_lacks(mend: Mend, instance: Instance | None, lacking: Mapping[str | None, str]) -> Mend:
    """What a start cannot do while a file is gone that it reads."""
    finding = mend.finding
    ended = finding.kind == "domain" and finding.difference is Difference.DIFFERENT and finding.state in ENDED
    if not ended or instance is None or instance.id not in lacking or not _starts(instance):
        return mend
    return replace(mend, action=f"put the {lacking[instance.id]} back, then repair", possible=False)


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
        case Difference.UNFINISHED if instance and not is_known(State(instance.vm_state, instance.task_state)):
            text = "go on with it by the Slipway that wrote it: this one does not know the state that it is in"
            return Mend(finding, text, possible=False)
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
    if finding.role == GIVEN:
        back = f"slipway port update {finding.name} --device-id {instance.id}"
        return Mend(finding, f"give it back ({back}), or delete the instance", possible=False)
    if finding.kind == "attached-disk":
        text = "detach it, or stop the instance: its guest may have it mounted"
        return Mend(finding, text, possible=False, stops=True)
    if finding.kind == "boot-file":
        return Mend(finding, f"put the {finding.name} back: its guest runs on, and cannot be started", possible=False)
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
