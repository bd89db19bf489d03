"""A new record is made of a text, which says what the definitions of the tables say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from slipway.states.schema import TABLES_TEXT
from slipway.states.store import Store
from tests.states.tables_text import made, statements, text


def test_the_text_says_what_the_definitions_say() -> None:
    assert TABLES_TEXT.read_text() == text(), "write it anew: python -m tests.states.tables_text"


@pytest.mark.sqlite("reads the file")
def test_a_new_record_has_the_tables_that_sqlalchemy_makes(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path / 'new.db'}").close()
    with sqlite3.connect(tmp_path / "new.db") as connection:
        has = [
            one for one in statements(connection) if "TRIGGER" not in one and not one.startswith('INSERT INTO "meta"')
        ]
    assert has == made()
