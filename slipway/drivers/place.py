"""Who acts: a state directory of a machine. A host on record belongs to the one that used it first."""

import os
import socket
import uuid
from contextlib import suppress
from pathlib import Path

from slipway.model.request import Host, Place
from slipway.states.sqlitefile import make_state
from slipway.states.worker import this_worker

STATE_ID = "state-id"
"""The file in a state directory that tells it from all others, wherever it is moved to."""


def place_of(state: Path) -> Place:
    """The state directory as it is here; one in which nobody has used a host has no id yet."""
    return Place(
        state_id=_read(state / STATE_ID),
        directory=os.path.realpath(state),
        machine=this_worker().machine,
        name=socket.gethostname(),
    )


def settle(state: Path) -> Place:
    """The same, with an id from now on. Raises `DatabaseUnsafe`, and `OSError` where it may not be written."""
    if not (state / STATE_ID).exists():
        make_state(state)
        new = state / f"{STATE_ID}.{uuid.uuid4()}"
        new.touch(0o600)
        new.write_text(f"{uuid.uuid4()}\n")
        # Another process may be quicker: a file gets its name whole, and once.
        with suppress(FileExistsError):
            os.link(new, state / STATE_ID)
        new.unlink()
    return place_of(state)


def is_here(host: Host, here: Place) -> bool:
    """Whether the host belongs to this place, or to nobody yet. All of a simulated one is in its state directory."""
    if host.place is None:
        return True
    simulated = (host.compute, host.wiring, host.disks) == ("sim", "null", "sim")
    if host.place.state_id != here.state_id:
        return False
    return simulated or (host.place.directory, host.place.machine) == (here.directory, here.machine)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
