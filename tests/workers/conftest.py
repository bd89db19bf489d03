from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boards import KINDS, Server, missing, running


@pytest.fixture(scope="module", params=KINDS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A job board of each kind, that several tests share: each record has its own part of it."""
    if reason := missing(request.param):
        pytest.skip(reason)
    with running(request.param, tmp_path_factory.mktemp("board") / "data") as server:
        yield server


@pytest.fixture(params=KINDS)
def own_board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One that a test may kill."""
    if reason := missing(request.param):
        pytest.skip(reason)
    with running(request.param, tmp_path / "board") as server:
        yield server
