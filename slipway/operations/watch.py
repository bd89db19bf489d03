"""Hear what happens to domains by themselves, and have the record follow where nobody is at their instances."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from slipway import errors
from slipway.drivers.compute.base import DomainEvent, Hearing
from slipway.flows.tasks.base import Tools
from slipway.listeners import tell
from slipway.model.record import Event, Instance
from slipway.model.request import Host
from slipway.operations.settle import settle
from slipway.states import hosts, instances
from slipway.states.machines import VmState
from slipway.texts import named

log = logging.getLogger(__name__)

_AGAIN = 10.0
"""Seconds after which an instance that somebody was at, or a host that could not be asked, is looked at again."""

_TICK = 0.2
"""Seconds between two questions whether to stop."""


class Watch:
    """One watching of all hosts on record. Drivers only put in what they hear; all else is done by who calls `run`."""

    def __init__(self, tools: Tools, notify: Callable[[Event], None]) -> None:
        self._tools = tools
        self._notify = notify
        self._heard: SimpleQueue[tuple[Host, DomainEvent | Hearing]] = SimpleQueue()
        self._watched: dict[Host, Callable[[], None]] = {}
        self._hosts_due = tools.monotonic()
        self._due: dict[tuple[str, str], float] = {}
        """The instances that are to be looked at, by host and id, and when."""

    def run(self, stopping: Callable[[], bool]) -> None:
        """Watch until it is time to stop. Raises a `StoreError`."""
        try:
            while not stopping():
                self._follow_hosts()
                looked = self._look_at_next()
                with suppress(Empty):
                    self._hear(*self._heard.get(timeout=0 if looked else _TICK))
        finally:
            for end in self._watched.values():
                end()

    def _follow_hosts(self) -> None:
        """Watch the hosts that are on record by now, and no others."""
        if (now := self._tools.monotonic()) < self._hosts_due:
            return
        self._hosts_due = now + _AGAIN
        with self._tools.store.read() as tx:
            known = {usage.host for usage in hosts.usages(tx)}
        for host in self._watched.keys() - known:
            self._watched.pop(host)()
        for host in known - self._watched.keys():
            self._watched[host] = self._begin(host)

    def _begin(self, host: Host) -> Callable[[], None]:
        try:
            return self._tools.drivers.on(host).compute.watch(lambda told: self._heard.put((host, told)))
        except errors.StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: the other hosts are heard
            self._heard.put((host, Hearing(lost=named(error))))
            return lambda: None

    def _hear(self, host: Host, told: DomainEvent | Hearing) -> None:
        if isinstance(told, Hearing):
            type_ = "host.heard" if told.lost is None else "host.lost"
            self._tell(Event(type_, self._tools.clock(), "", "", host=host.name, message=told.lost or ""))
            self._due = {one: at for one, at in self._due.items() if one[0] != host.name}
            if told.lost is None:
                with self._tools.store.read() as tx:
                    there = [one.id for one in instances.listed(tx) if one.host == host.name]
                self._due |= dict.fromkeys(((host.name, one) for one in there), self._tools.monotonic())
            return
        instance = self._known(told.instance_id)
        if instance is not None and instance.host == host.name and instance.vm_state != VmState.DELETED:
            self._tell(self._event(f"domain.{told.change}", instance))
            self._due[host.name, instance.id] = self._tools.monotonic()

    def _known(self, instance_id: str) -> Instance | None:
        with suppress(errors.InstanceNotFound), self._tools.store.read() as tx:
            return instances.get(tx, instance_id)
        return None

    def _look_at_next(self) -> bool:
        """Look at one instance that is due, and once more later where nothing could be said of it; whether one was."""
        now = self._tools.monotonic()
        one = next((one for one, at in self._due.items() if at <= now), None)
        if one is None:
            return False
        del self._due[one]
        try:
            settled = self._settle(one[1])
        except errors.StoreError:
            raise
        except errors.InstanceNotFound:
            settled = True
        except Exception as error:
            log.info("instance %s could not be looked at", one[1], exc_info=error)
            settled = False
        if not settled:
            self._due[one] = self._tools.monotonic() + _AGAIN
        return True

    def _settle(self, instance_id: str) -> bool:
        """Have the record say what the domain does; False while somebody is at the instance, and will say it."""
        settled = settle(self._tools, instance_id)
        if settled is not None and settled[1]:
            self._tell(self._event("state", *settled))
        return settled is not None

    def _event(self, type_: str, instance: Instance, message: str = "") -> Event:
        return Event(
            type=type_,
            at=self._tools.clock(),
            instance_id=instance.id,
            name=instance.name,
            image=instance.request.image.name,
            host=instance.host,
            vm_state=instance.vm_state,
            task_state=instance.task_state,
            attempt=instance.attempt,
            message=message,
        )

    def _tell(self, event: Event) -> None:
        tell(self._notify, event, event.type)
