"""A task of a user's own: it puts the instance's name into a DNS zone, which keeps a file a record."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.model.request import Host
from slipway.states.intent import Durability


class RecordName(Task):
    """Record the name. The service gives each record an id, and it is found by that id alone: here is the leak."""

    name = "record-name"
    kind = "dns-record"
    in_build_only = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The zone is elsewhere."""
        return Durability.FOREIGN

    def record_id(self, work: BuildWork) -> str:
        """A new one: after a crash nobody knows it."""
        return uuid.uuid4().hex

    def do(self, work: BuildWork) -> str:
        """Gives the record's id."""
        found = self.record_id(work)
        _file(found).write_text(json.dumps({"name": work.instance.name, "instance": work.instance.id}))
        return found

    def undo(self, work: BuildWork, result: str | None) -> None:
        """Delete the record, if its id is known."""
        if result is not None:
            _file(result).unlink(missing_ok=True)


class RecordNameByKey(RecordName):
    """The same without the leak: the id is the effect's key, which is on record before anything is done."""

    name = "record-name-by-key"
    kind = "dns-record-by-key"

    def record_id(self, work: BuildWork) -> str:
        """The same for this effect whenever it is asked for."""
        return work.effect.key.replace("/", "-")

    def undo(self, work: BuildWork, result: str | None) -> None:
        """Delete the record, whether or not an answer ever came."""
        _file(self.record_id(work)).unlink(missing_ok=True)


def _file(record_id: str) -> Path:
    return Path(os.environ["DNS_ZONE"]) / f"{record_id}.json"
