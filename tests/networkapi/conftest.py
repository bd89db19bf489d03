from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.networks import Networks
from slipway.states.store import Store


def quick_store(url: str) -> Store:
    """Without waiting for the disk."""
    return Store(url, synchronous="OFF")


@pytest.fixture
def orchestrator(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path, store=quick_store, project="mine") as made:
        yield made


@pytest.fixture
def network(orchestrator: Orchestrator) -> Networks:
    return orchestrator.network
