"""What becomes of each instance: of those that the file asks for, and of those that have left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.flows.scheduler import group_refusal
from slipway.flows.tasks.base import Tools
from slipway.model.record import Effect, Instance
from slipway.model.request import Host, InstanceRequest, NetworkRequest
from slipway.operations.batch import in_order
from slipway.operations.taking import may_be_taken, who_is_at
from slipway.runfile.entries import InstanceEntry, RunFile
from slipway.stacks.guests import Becoming, becoming, state_problem
from slipway.stacks.ours import stack_of, told
from slipway.stacks.plan import Change, Difference, How, Seen, Wish
from slipway.states import codec, effects, hosts, instances
from slipway.states.hosts import HostUsage
from slipway.states.machines import State, VmState
from slipway.states.store import Transaction

_KIND = "instance"
_LOST = "its disks with all that is on them, and the addresses that were drawn for it"


class OnRecord(Struct, frozen=True):
    """What the record has at one moment: the stack's instances and those of the file by name, and the hosts.

    `busy`: in words, who is at an instance that nobody else may take. `members`: the hosts of each server group's
    members. `effects`: by id, of those instances whose NICs or disks the file asks for in other words.
    """

    mine: Mapping[str, Instance]
    named: Mapping[str, Instance]
    busy: Mapping[str, str]
    usages: Sequence[HostUsage]
    members: Mapping[str, Sequence[str]]
    effects: Mapping[str, Sequence[Effect]] = {}


def read_record(tx: Transaction, file: RunFile, tools: Tools) -> OnRecord:
    """All that plans of instances are made of."""
    mine = {one.name: one for one in instances.of_stack(tx, file.stack)}
    wanted = [entry.request for entry in file.instances]
    found = {
        request.name: mine.get(request.name) or instances.find(tx, request.name, file.project) for request in wanted
    }
    named = {name: one for name, one in found.items() if one is not None and one.name == name}
    unfinished = [one for one in named.values() if not State(one.vm_state, one.task_state).at_rest]
    busy = {one.id: who_is_at(one) for one in unfinished if not may_be_taken(tx, one, tools)}
    groups = {request.group.name for request in wanted if request.group}
    members = {group: hosts.group_hosts(tx, file.project, group, besides="") for group in groups}
    usages = hosts.usages(tx)
    if any(request.flavor.pin_cpus for request in wanted):
        pins = hosts.all_pins(tx, besides="")
        usages = [replace(one, pinned_cpus=pins.get(one.host.name, frozenset())) for one in usages]
    return OnRecord(mine, named, busy, usages, members, dict(_effects(tx, wanted, named)))


def _effects(
    tx: Transaction, wanted: Sequence[InstanceRequest], named: Mapping[str, Instance]
) -> Iterator[tuple[str, Sequence[Effect]]]:
    for request in wanted:
        found = named.get(request.name)
        if found is not None and (found.request.networks, found.request.disks) != (request.networks, request.disks):
            yield found.id, effects.effects_of(tx, found.id)


class Fates:
    """Decides; afterwards `unchanged` has the labels of what is as the file says, and `seen` what was looked at."""

    def __init__(
        self, file: RunFile, wish: Wish, record: OnRecord, only_network: Callable[[str], Sequence[str]]
    ) -> None:
        """`only_network` gives the one that an instance of this name has where nothing was said, or none."""
        self._file, self._wish, self._record = file, wish, record
        self._only_network = only_network
        self._hosts = {usage.host.name: usage.host for usage in record.usages}
        self._hosts |= {host.name: host for host in file.hosts}
        self.unchanged: list[str] = []
        self.seen: list[Seen] = []

    def left(self) -> Iterator[Change]:
        """What has left the file, newest first."""
        wanted = {entry.request.name for entry in self._file.instances}
        for one in self._record.mine.values():
            if one.name in wanted:
                continue
            self._see(one)
            if self._wish.prune:
                yield Change(How.PRUNE, _KIND, one.name, one.id, lost=_LOST, inverse="none", why="it has left the file")
            else:
                yield Change(How.LEFT, _KIND, one.name, one.id, why="it has left the file and stays")

    def wanted(self) -> Iterator[Change]:
        """What the file asks for and is not so, in the order in which it is built."""
        entries = {entry.request.name: entry for entry in self._file.instances}
        for name in in_order({name: entry.depends_on for name, entry in entries.items()}):
            entry = entries[name]
            found = self._record.named.get(entry.request.name)
            if found is None:
                self.seen.append(Seen(f"{_KIND} {entry.request.name}", (("there", "no"),)))
                yield Change(How.MAKE, _KIND, entry.request.name, inverse="delete it")
                continue
            self._see(found)
            change = self._fate(found, entry)
            if change is None:
                self.unchanged.append(f"{_KIND} {found.name}")
            else:
                yield change

    def _fate(self, found: Instance, entry: InstanceEntry) -> Change | None:
        state = State(found.vm_state, found.task_state)
        name, id_ = found.name, found.id
        if not state.at_rest:
            if found.id in self._record.busy:
                text = f"it is {state}: {self._record.busy[found.id]}"
                return Change(How.KEEP, _KIND, name, id_, why=text)
            return Change(How.FINISH, _KIND, name, id_, why=f"it is {state}, and whoever was at it is gone")
        if found.damage:
            return Change(How.KEEP, _KIND, name, id_, why=found.damage)
        mine = found.stack == self._file.name
        if found.vm_state == VmState.ERROR:
            return self._failed(found, mine=mine)
        try:
            then = self._becoming(found, entry)
        except (errors.RecordDamaged, errors.NetworkError, errors.NetworkAmbiguous) as error:
            return Change(How.KEEP, _KIND, name, id_, why=str(error))
        if not then.differences:
            return None
        if not mine:
            whose = told(stack_of(found), self._file.project)
            kept = tuple(Difference(one.attribute, one.have, one.want, How.KEEP, whose) for one in then.differences)
            return Change(How.KEEP, _KIND, name, id_, differences=kept)
        return _changed(found, then)

    def _becoming(self, found: Instance, entry: InstanceEntry) -> Becoming:
        """A file that says nothing of NICs means the only network there is."""
        request, effects = entry.request, self._record.effects.get(found.id, ())
        if request.networks is None and found.request.networks is not None:
            only = tuple(NetworkRequest(network=name) for name in self._only_network(request.name))
            entry = replace(entry, request=replace(request, networks=only))
        return becoming(found, entry, effects, lambda attribute: self._met(attribute, found, request))

    def _failed(self, found: Instance, *, mine: bool) -> Change:
        fault = f": {found.fault.type}: {found.fault.message}" if found.fault else ""
        if mine and self._wish.replace_failed:
            text = f"it has failed{fault}"
            return Change(How.REPLACE, _KIND, found.name, found.id, why=text, inverse="none", told=True)
        ways = "--replace-failed builds it anew" if mine else told(stack_of(found), self._file.project)
        return Change(How.KEEP, _KIND, found.name, found.id, why=f"it has failed and is left alone ({ways}){fault}")

    def _met(self, attribute: str, found: Instance, request: InstanceRequest) -> bool:
        """Whether what the row of an attribute says under `unless` is so: of where the instance is."""
        if found.host is None:
            return False
        match attribute:
            case "user_data":
                return request.user_data is None
            case "flavor.vcpus" | "flavor.memory":
                return found.vm_state == VmState.STOPPED
            case _ if attribute.startswith("image."):
                return found.vm_state == VmState.STOPPED
            case "flavor.disk":
                return request.flavor.disk < found.request.flavor.disk
            case "host":
                return request.host not in (None, found.host)
            case "zone":
                host: Host | None = self._hosts.get(found.host)
                return request.zone is not None and host is not None and host.zone != request.zone
            case "requires":
                on = self._hosts.get(found.host)
                return on is not None and not {*request.requires} <= {*on.labels}
            case "group" if request.group is not None:
                others = list(self._record.members.get(request.group.name, ()))
                if found.request.group is not None and found.request.group.name == request.group.name:
                    others.remove(found.host)
                return bool(group_refusal(request.group.name, request.group.policy, found.host, others))
        return False

    def _see(self, one: Instance) -> None:
        state = str(State(one.vm_state, one.task_state))
        said = (("state", state), ("host", one.host or "none"), ("id", one.id), ("stack", one.stack or "none"))
        request = codec.encode(one.request).decode()
        self.seen.append(Seen(f"{_KIND} {one.name}", (*said, ("request", str(_digest(request))))))


def _changed(found: Instance, then: Becoming) -> Change:
    """What becomes of an instance that is to be otherwise: the gravest of what becomes of its attributes."""
    hows = {one.how for one in then.differences}
    how = next(each for each in (How.REPLACE, How.STOP, How.CHANGE, How.KEEP) if each in hows)
    if how is How.REPLACE:
        return Change(how, _KIND, found.name, found.id, differences=then.differences, lost=_LOST, inverse="none")
    return Change(
        how,
        _KIND,
        found.name,
        found.id,
        differences=then.differences,
        runs=then.runs,
        inverse="; ".join(run.inverse or f"none for {run.verb}" for run in then.runs),
        lost="; ".join(run.lost for run in then.runs if run.lost),
        problem=state_problem(found, then.runs),
    )


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]
