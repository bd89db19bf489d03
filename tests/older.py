"""Records of earlier versions, with instances in every state, as those left them when they were killed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from slipway.states.worker import this_worker

RECORDS = Path(__file__).parent / "states" / "records"


def put(record: str, directory: Path) -> Path:
    """A state directory as the version of that record (`schema3`: of that schema) left it."""
    state = directory / "state"
    state.mkdir()
    places = {"@STATE@": str(state), "@DIR@": str(directory), "@MACHINE@": this_worker().machine}
    places |= {f"{name[:-1]}HEX@": text.encode().hex().upper() for name, text in places.items()}

    def placed(text: str) -> str:
        for name, value in places.items():
            text = text.replace(name, value)
        return text

    for name, text in json.loads(placed((RECORDS / f"{record}.world.json").read_text())).items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(text)
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        db.executescript(placed((RECORDS / f"{record}.sql").read_text()))
    return state
