"""Makes a plan: the file against the record and reality. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext

from msgspec.structs import replace

from slipway import errors
from slipway.flows.choosing import here
from slipway.flows.definition import Definition
from slipway.flows.tasks.base import Tools
from slipway.model.record import Instance
from slipway.model.request import Host, InstanceRequest
from slipway.operations.changes.moves import unlike
from slipway.runfile.entries import RunFile
from slipway.settings import Settings
from slipway.stacks.builds import PlannedBuild, effects_of
from slipway.stacks.compare import Comparison
from slipway.stacks.fates import Fates, OnRecord, read_record
from slipway.stacks.guests import as_changed
from slipway.stacks.nics import PlannedNic, PlannedNics
from slipway.stacks.ours import Ours
from slipway.stacks.placing import Placing
from slipway.stacks.plan import REAL, Change, Difference, How, Plan, Seen, Wish
from slipway.stacks.reality import NETWORK_SERVICE, Reality, look
from slipway.stacks.rules import rule
from slipway.stacks.words import shown
from slipway.states import hosts, installation
from slipway.states.hosts import HostUsage
from slipway.states.machines import State, VmState
from slipway.states.stacks import Kind

_BUILT = frozenset({How.MAKE, How.REPLACE})
_CLAIMING = frozenset({"move", "resize", "grow-disk", "attach-disk"})
"""The runs that may take more of a host."""


def make_plan(file: RunFile, wish: Wish, tools: Tools, definition: Callable[[], Definition]) -> Plan:
    """What a run of the file would do. `definition` gives the workflow by which its instances are built.

    Raises what the network service does for what cannot be looked at, and a `StoreError`.
    """
    store, driver = tools.store, tools.drivers.network
    with store.read() as tx:
        record = read_record(tx, file, tools)
        try:
            known, damaged = installation.settings(tx), False
        except errors.RecordDamaged:
            known, damaged = None, True
    # A network service elsewhere is not called while a transaction is open.
    with store.read() if driver.local else nullcontext() as shared:
        things = Comparison(file, driver, Ours(file.stack, store, driver, shared), shared)
        compared = list(things.changes())
        left = [_left(kind, name, id_, wish) for kind, name, id_, _ in things.left()]
        planned = PlannedNics(file, driver, shared)
        fates = Fates(file, wish, record, planned.only)
        decided = [*fates.left(), *fates.wanted()]
        nics = _nics_of(decided, file, planned)
    reality = look(_at_rest(record), tools) if wish.repair else Reality()
    built = _Built(file, record, compared, decided, nics, tools)
    instances = [built.planned(change, definition) for change in decided]
    real = list(_real(reality, decided, record))
    wrong = {change.label for change in real}
    unchanged = [*things.unchanged, *(label for label in fates.unchanged if label not in wrong)]
    return Plan(
        file=file,
        wish=wish,
        # A record that was made for this plan alone is nobody's.
        installation="" if store.is_new and known is None else store.installation,
        made_at=tools.clock(),
        changes=(*_settings(known, tools.settings, damaged=damaged), *compared, *instances, *real, *left),
        unchanged=tuple(unchanged),
        seen=(*things.seen, *fates.seen, *built.seen, *_seen(reality, record)),
    )


def _settings(known: Settings | None, used: Settings, *, damaged: bool) -> Iterator[Change]:
    """What holds from then on that held in another way, or that nobody can read."""
    if damaged:
        text = "what is on record cannot be read, and is written anew"
        yield Change(How.MEND, "settings", "settings", why=text, inverse="none")
    differing = tuple(
        Difference(
            name, shown(getattr(known, name)), shown(getattr(used, name)), How.CHANGE, rule("settings", name).why
        )
        for name in (used.__struct_fields__ if known is not None else ())
        if getattr(known, name) != getattr(used, name)
    )
    if differing:
        back = "; ".join(f"{one.attribute} back to {one.have}" for one in differing)
        yield Change(How.CHANGE, "settings", "settings", differences=differing, inverse=back)


def _left(kind: Kind, name: str, id_: str, wish: Wish) -> Change:
    """What becomes of a thing that the stack made and that is not in the file any more."""
    if wish.prune:
        return Change(How.PRUNE, kind, name, id_, why="it has left the file", inverse="none, but to make another one")
    return Change(How.LEFT, kind, name, id_, why="it has left the file and stays")


# --- instances ----------------------------------------------------------------------------------------------------

_Nics = Mapping[str, "tuple[PlannedNic, ...] | errors.SlipwayError"]


def _nics_of(decided: Sequence[Change], file: RunFile, planned: PlannedNics) -> _Nics:
    """The NICs of each instance that is to be built, and the new ones of each other, or why it cannot have them."""
    requests = {entry.request.name: entry.request for entry in file.instances}
    found: dict[str, tuple[PlannedNic, ...] | errors.SlipwayError] = {}
    for change in decided:
        new = [run.nic for run in change.runs if run.nic is not None]
        if change.kind == "instance" and (new or change.how in _BUILT):
            try:
                found[change.name] = tuple(map(planned.nic, new)) if new else planned.of(requests[change.name])
            except (errors.NetworkError, errors.NetworkAmbiguous) as error:
                found[change.name] = error
    return found


class _Built:
    """Puts hosts, addresses and effects to what is to be built, in the order in which it is."""

    def __init__(
        self,
        file: RunFile,
        record: OnRecord,
        compared: Sequence[Change],
        changes: Sequence[Change],
        nics: _Nics,
        tools: Tools,
    ) -> None:
        """`compared` becomes of the hosts, `changes` of the instances."""
        self._requests = {entry.request.name: entry.request for entry in file.instances}
        self._record, self._nics, self._tools = record, nics, tools
        self.seen: list[Seen] = []
        self._idle = not (nics or any(run.verb in _CLAIMING for change in changes for run in change.runs))
        if self._idle:
            return
        usages = _usages(file, record, compared, tools)
        self.seen = [_seen_usage(usage) for usage in record.usages]
        self._placing = Placing(usages, record.members)

    def planned(self, change: Change, definition: Callable[[], Definition]) -> Change:
        """The change with where the instance goes and why, or why its build or its first run will fail."""
        if self._idle:
            return change
        if change.runs:
            return self._changed(change)
        if change.how in (How.PRUNE, How.REPLACE) and change.id is not None:
            with self._tools.store.read() as tx:
                claim = hosts.claim_of(tx, change.id)
            self._placing.leave(self._record.mine[change.name].request, claim)
        if change.how not in _BUILT:
            return change
        request, nics = self._requests[change.name], self._nics[change.name]
        if isinstance(nics, errors.SlipwayError):
            return replace(change, problem=f"{type(nics).__name__}: {nics}")
        place = self._placing.place(request)
        addresses = tuple(address for nic in nics for address in nic.addresses)
        if place.host is None:
            return replace(change, problem=place.why, addresses=addresses)
        effects = effects_of(definition(), PlannedBuild(request, place.host, nics), self._tools)
        return replace(change, host=place.host.name, because=place.why, addresses=addresses, effects=effects)

    def _changed(self, change: Change) -> Change:
        """An instance that gets more NICs, or more of its host."""
        nics = self._nics.get(change.name, ())
        if isinstance(nics, errors.SlipwayError):
            return replace(change, problem=change.problem or f"{type(nics).__name__}: {nics}")
        addresses = tuple(address for nic in nics for address in nic.addresses)
        change = replace(change, addresses=addresses)
        found = self._record.mine[change.name]
        wanted = as_changed(found.request, self._requests[change.name], change.runs)
        if change.runs[0].verb == "move":
            return self._moved(change, found, wanted)
        return replace(change, problem=change.problem or self._placing.grow(found, wanted))

    def _moved(self, change: Change, found: Instance, wanted: InstanceRequest) -> Change:
        """An instance that goes to another host."""
        with self._tools.store.read() as tx:
            claim = hosts.claim_of(tx, found.id)
        self._placing.leave(found.request, claim)
        place = self._placing.place(wanted)
        if place.host is None:
            return replace(change, problem=change.problem or place.why)
        old = next((usage.host for usage in self._record.usages if usage.host.name == found.host), place.host)
        if why := unlike(place.host, old):
            refused = f"{errors.MoveRefused.__name__}: {found.name} cannot go to host {place.host.name}: {why}"
            change = replace(change, problem=change.problem or refused)
        move, *others = change.runs
        move = replace(move, of=place.host.name, what=f"to host {place.host.name}, {move.what}")
        return replace(change, host=place.host.name, because=place.why, runs=(move, *others))


def _usages(file: RunFile, record: OnRecord, compared: Sequence[Change], tools: Tools) -> Sequence[HostUsage]:
    """The hosts as they will be when instances are built, by name."""
    usages = dict(here({usage.host.name: usage for usage in record.usages}, tools.drivers))
    said = {host.name: host for host in file.hosts}
    for change in compared:
        if change.kind == Kind.HOST and change.how in (How.MAKE, How.CHANGE, How.MEND):
            usages[change.name] = _as_will_be(usages.get(change.name), change, said[change.name])
    return [usages[name] for name in sorted(usages)]


def _as_will_be(usage: HostUsage | None, change: Change, host: Host) -> HostUsage:
    if usage is not None and change.how is How.CHANGE:
        host = replace(usage.host, **{name: getattr(host, name) for name in change.attributes})
    most = hosts.limits(host)
    known = usage or HostUsage(host, 0, 0, 0, vcpus_used=0, memory_used=0, disk_used=0, failed_builds=0)
    return replace(known, host=host, vcpus_limit=most.vcpus, memory_limit=most.memory, disk_limit=most.disk)


def _seen_usage(usage: HostUsage) -> Seen:
    names = ("vcpus_used", "memory_used", "disk_used", "vcpus_limit", "memory_limit", "disk_limit", "failed_builds")
    said = tuple((name, str(getattr(usage, name))) for name in names)
    return Seen(f"host {usage.host.name}, as it is used", (*said, ("enabled", shown(usage.enabled))))


# --- reality ------------------------------------------------------------------------------------------------------


def _at_rest(record: OnRecord) -> Sequence[Instance]:
    """The stack's instances of which something can be said: those in ERROR are left alone."""
    return [
        one
        for one in record.mine.values()
        if State(one.vm_state, one.task_state).at_rest and one.vm_state != VmState.ERROR
    ]


def _real(reality: Reality, decided: Sequence[Change], record: OnRecord) -> Iterator[Change]:
    """What is not as it is on record, unless it goes anyhow: what a repair mends, and what it cannot."""
    gone = {change.id for change in decided if change.how in (How.REPLACE, How.PRUNE)}
    if reality.found.keys() - gone:
        yield from _broken(reality, gone, {one.id: one for one in record.mine.values()})
    for who, why in reality.silent.items():
        kind = "host" if who != NETWORK_SERVICE else who
        yield Change(How.KEEP, kind, who, why=f"it cannot be asked what is there: {why}", real=True)


def _broken(reality: Reality, gone: Collection[str | None], known: Mapping[str, Instance]) -> Iterator[Change]:
    # What is said of repairs is loaded where there is something to be mended: most runs find nothing.
    from slipway.operations.mends import mends

    for one in known.values():
        if one.id in gone or not (found := reality.found.get(one.id)):
            continue
        told = mends(found, known, {})
        for how, possible in ((How.MEND, True), (How.KEEP, False)):
            ours = [mend for mend in told if mend.possible is possible]
            why = "; ".join(dict.fromkeys(f"{mend.finding.detail}: {mend.action}" for mend in ours))
            lost = "; ".join(dict.fromkeys(mend.finding.detail for mend in ours if mend.loses and possible))
            if ours:
                yield Change(how, "instance", one.name, one.id, why=why, lost=lost, inverse="none", real=True)


def _seen(reality: Reality, record: OnRecord) -> Iterator[Seen]:
    names = {one.id: one.name for one in record.mine.values()}
    for id_, found in reality.found.items():
        said = tuple((f"{one.kind} {one.name}", one.detail) for one in found)
        yield Seen(f"{REAL} instance {names[id_]}", said)
    for who, why in reality.silent.items():
        yield Seen(f"{REAL} {who}", (("asked", why),))
