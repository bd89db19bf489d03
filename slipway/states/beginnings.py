"""Names on record that begin with some letters, for who types them.

They are read past SQLAlchemy, whose import takes longer than the shell should wait.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_QUERIES = {
    "instance": "SELECT DISTINCT name FROM instances WHERE vm_state != 'DELETED' AND substr(name, 1, ?) = ?",
    "run": "SELECT id FROM runs WHERE substr(id, 1, ?) = ?",
    "host": "SELECT name FROM hosts WHERE substr(name, 1, ?) = ?",
    "stack": "SELECT DISTINCT stack FROM instances WHERE vm_state != 'DELETED' AND substr(stack, 1, ?) = ?",
    "project": "SELECT DISTINCT project FROM instances WHERE vm_state != 'DELETED' AND substr(project, 1, ?) = ?",
}
_MOST = 200
_PATIENCE = 0.3
"""Seconds to wait for a database that is locked."""


def beginning(path: Path, kind: str, letters: str) -> list[str]:
    """Names of that kind in SQLite's database, in their order, some hundred at most; none where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as database:
            query = f"{_QUERIES[kind]} ORDER BY 1 LIMIT {_MOST}"
            return [str(row[0]) for row in database.execute(query, (len(letters), letters))]
    except sqlite3.Error:
        return []
