"""200 builds on three hosts' workers, while these are killed and their database and board restarted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import postgresql
from tests.boards import Server
from tests.workers.chaos import chaos


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True], ids=["one machine", "several"])
def test_all_end_and_nothing_is_doubled(own_board: Server, tmp_path: Path, *, apart: bool) -> None:
    if reason := postgresql.missing():
        pytest.skip(reason)
    with postgresql.started() as database:
        seen = chaos(own_board, database, database.empty(), tmp_path / "state", builds=200, every=5.0, apart=apart)
    print(seen)
    assert seen.ended == {"ACTIVE": 200}
    assert (seen.differences, seen.doubled) == ((), ())
    assert seen.kills > 0
