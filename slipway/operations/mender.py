"""What is made again of one instance that this worker has: each thing looked at, and mended where it is not as it was.

All of it is safe to repeat, and is under the keys of the build's own effects: a delete takes it back. So whoever goes
on after a crash simply does it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.deadline import within
from slipway.drivers.disk.cloudinit import make_seed
from slipway.flows.run import Run
from slipway.flows.runs.undoing import undo
from slipway.flows.tasks.catalog import arguments_of
from slipway.flows.tasks.disks import request_of
from slipway.model.machine import ENDED, Claim, Disk, DiskRequest, Domain, PowerState, Vif
from slipway.model.record import Effect
from slipway.operations.audit import Difference, Finding
from slipway.operations.hands import Hands
from slipway.operations.nics import mend_ports, mend_servers
from slipway.operations.orphans import settle_orphan
from slipway.operations.refresh import NICS
from slipway.operations.things import expected_thing, role_of
from slipway.states import codec, hosts
from slipway.states.machines import VmState
from slipway.states.quotas import size_of
from slipway.states.resizing import claim_just
from slipway.texts import named

log = logging.getLogger(__name__)

_JOINED_BY = {"port": NICS, "binding": NICS, "dhcp-port": frozenset({"dhcp"})}
"""What is made again with a thing of this kind: it is made for that."""


def should_run(run: Run) -> bool:
    """Whether its domain is to be started where it has ended: ACTIVE on record, and `autostart`."""
    return run.ledger.state.vm_state == VmState.ACTIVE and run.instance.request.autostart


class Mender:
    """One instance to be mended. What fails keeps nothing else from being mended; the first error is what is told."""

    def __init__(self, hands: Hands, findings: Sequence[Finding] | None) -> None:
        """`findings`: what is to be mended; None: whatever there is."""
        self._hands = hands
        self._run = hands.run
        self._findings = findings
        kinds = frozenset(_KINDS if findings is None else (one.kind for one in findings))
        self._kinds = kinds.union(*(_JOINED_BY.get(kind, ()) for kind in kinds))
        self._errors: list[Exception] = []

    def mend(self) -> None:
        """Mend it. Raises the first error, when all else is done."""
        for kinds, step in (
            (self._kinds, self._stuck),
            ({"claim"}, self._claim),
            ({"port", "binding"}, lambda: mend_ports(self._hands)),
            ({"dhcp-port"}, lambda: mend_servers(self._hands)),
            ({"disk"}, self._disks),
            ({"definition"}, self._definition),
            (NICS, self._join),
            (self._kinds, self._orphans),
            ({"domain"}, self._domain),
            (_KINDS, self._power),
        ):
            if self._kinds & kinds:
                self._try(step)
        if self._errors:
            raise self._errors[0]

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (errors.InstanceDeleting, errors.StaleWorker, errors.StoreError, errors.BuildInterrupted):
            raise
        except Exception as error:
            log.info("instance %s: %s", self._run.instance.id, named(error), exc_info=error)
            self._errors.append(error)

    # --- what it has on its host ------------------------------------------------------------------------------------

    def _stuck(self) -> None:
        """What a change could not take back, and what that holds."""
        if not self._tried():
            return
        for effect in reversed(self._tried()):
            self._hands.check()
            undo(self._run, effect)
            if self._run.halted is not None:
                raise self._run.halted
        if left := self._tried():
            raise errors.UndoFailed(f"{left[0].key} could not be taken back: {left[0].error}")
        with self._run.tools.store.write() as tx:
            # What was stuck had its room as well.
            claim_just(tx, self._run.instance.id, size_of(self._run.instance.request))

    def _tried(self) -> Sequence[Effect]:
        """What is stuck since somebody has tried to take it back: whatever else is stuck its row is damaged, and the
        instance may use it."""
        return [effect for effect in self._run.ledger.stuck() if effect.undone_at is not None]

    def _claim(self) -> None:
        """It is there: it is counted, whether or not its host has so much left."""
        self._hands.check()
        for effect in self._hands.done("claim"):
            assert effect.result is not None
            claim = codec.decode(effect.result, Claim)
            with self._run.tools.store.write() as tx:
                hosts.count_anew(tx, claim.host, claim)

    def _disks(self) -> None:
        driver = self._hands.drivers().disk
        for effect in reversed(self._hands.done("disk", "seed")):
            thing = expected_thing(effect)
            if thing is None or not (fault := self._fault_of_disk(int(thing.name))):
                continue
            self._check_may_be_made(effect, fault)
            request = self._seed_request(effect) if effect.kind == "seed" else self._disk_request(effect)
            self._hands.check()
            with within(self._run.tools.settings.step_timeout):
                driver.create_disk(replace(request, clears=True))
            if fault := self._fault_of_disk(int(thing.name)):
                raise errors.RepairImpossible(f"disk {thing.name}: {fault}")

    def _fault_of_disk(self, slot: int) -> str:
        with within(self._run.tools.settings.step_timeout):
            there = self._hands.drivers().disk.list_disks()
        own = {info.slot: info.fault for info in there if info.instance_id == self._run.instance.id}
        return own.get(slot, _GONE)

    def _check_may_be_made(self, effect: Effect, fault: str) -> None:
        """Raise `RepairImpossible` where a new disk would not do, or would take the place of what is not lost yet."""
        request = self._run.instance.request
        if effect.kind == "seed" and (request.user_data_sha256 or any(file.sha256 for file in request.files)):
            raise errors.RepairImpossible(
                "its seed is gone, and the user data and files that were on it are not kept once an instance is built"
            )
        if effect.kind == "disk" and fault == _GONE and self._seen() not in (*ENDED, None):
            if role_of(effect) == "volume":
                raise errors.RepairImpossible(f"disk {effect.slot}: stop it, and a repair takes its volume again")
            raise errors.RepairImpossible(
                f"disk {effect.slot} is gone, and its domain has the last copy open, which is lost when it ends: save "
                f"from within the guest what matters; stop it, and a repair makes the disk anew"
            )

    def _disk_request(self, effect: Effect) -> DiskRequest:
        if effect.result is None:
            raise errors.RepairImpossible(f"the record does not say what its disk {effect.slot} was")
        return request_of(self._run.instance, codec.decode(effect.result, Disk))

    def _seed_request(self, effect: Effect) -> DiskRequest:
        request: DiskRequest = arguments_of(effect).request
        return replace(request, seed=make_seed(self._run.instance, tuple(self._vifs())))

    def _vifs(self) -> Iterable[Vif]:
        for effect in reversed(self._hands.done("binding")):
            assert effect.result is not None
            yield codec.decode(effect.result, Vif)

    # --- the machine ------------------------------------------------------------------------------------------------

    def _recorded(self) -> Domain:
        effect = next(iter(self._hands.done("definition")), None)
        if effect is None or effect.result is None:
            raise errors.RepairImpossible("the record does not have its domain's XML")
        return codec.decode(effect.result, Domain)

    def _definition(self) -> None:
        domain = self._recorded()
        self._hands.ask(lambda compute: compute.write_definition(domain.instance_id, domain.xml))

    def _domain(self) -> None:
        if self._hands.done("domain"):
            domain = self._recorded()
            self._hands.ask(lambda compute: compute.redefine(domain))

    def _join(self) -> None:
        self._hands.join(self._kinds & NICS)
        if self._may_be_loose() and self._seen() is PowerState.RUNNING:
            for vif in self._loose():
                self._hands.ask(lambda compute, vif=vif: compute.reconnect(self._run.instance.id, vif.mac_address))  # type: ignore[misc]

    def _orphans(self) -> None:
        """What of it is there and not on record; who has no findings looks for none."""
        for finding in self._findings or ():
            if finding.difference is Difference.ORPHANED:
                self._try(partial(settle_orphan, self._hands, finding))

    def _may_be_loose(self) -> bool:
        """Whether a guest that runs may have lost its tap: one that is made again is another one to it."""
        taps = [one for one in self._findings or () if one.kind == "vif"]
        lost = any(one.loose or one.difference is Difference.MISSING for one in taps)
        return lost if self._findings is not None else "vif" in self._kinds

    def _loose(self) -> list[Vif]:
        """The NICs with whose taps nothing is joined, though the domain runs."""
        wiring = self._hands.drivers().wiring
        vifs = [arguments_of(effect).vif for effect in self._hands.done("vif")]
        if wiring.local or not vifs:
            return []
        self._hands.check()
        with within(self._run.tools.settings.step_timeout):
            loose = {tap.name for tap in wiring.list_taps() if not tap.joined}
        return [vif for vif in vifs if vif.devname in loose]

    def _seen(self) -> PowerState | None:
        """What the domain does; None: it is not there."""
        try:
            return self._hands.power_state()
        except errors.DomainNotFound:
            return None

    def _power(self) -> None:
        """Have it run if it should; what cannot be started is not tried."""
        if not should_run(self._run) or self._seen() is PowerState.RUNNING:
            return
        if self._errors:
            # What failed may be just what it needs, and would be said a second time.
            return
        self._hands.look()
        self._hands.start()


_GONE = "it is gone"
_KINDS = frozenset(
    {"claim", "port", "binding", "dhcp-port", "disk", "definition", "vif", "filter", "dhcp", "domain"},
)
"""Of what an audit finds, what is made again for an instance."""
