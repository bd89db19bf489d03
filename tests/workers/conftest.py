from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boards import KINDS, Server, missing, running


@pytest.fixture(scope="module", params=KINDS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A job board of each kind, that several tests share: each record has its own part of it."""
    yield from _board(request.param, tmp_path_factory.mktemp("board") / "data")


OFTEN = ("redis", pytest.param("etcd", marks=pytest.mark.slow))
"""What workers do is the same on each; how boards themselves behave is tried on both each time."""


@pytest.fixture(scope="module", params=OFTEN)
def shared_board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A job board for workers, that several tests share."""
    yield from _board(request.param, tmp_path_factory.mktemp("board") / "data")


@pytest.fixture(params=OFTEN)
def own_board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One that a test may kill."""
    yield from _board(request.param, tmp_path / "board")


@pytest.fixture(params=KINDS)
def mortal_board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One of each kind that a test may kill."""
    yield from _board(request.param, tmp_path / "board")


def _board(kind: str, directory: Path) -> Iterator[Server]:
    if reason := missing(kind):
        pytest.skip(reason)
    with running(kind, directory) as server:
        yield server
