from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.settings import Settings
from slipway.states.store import Store

ADMIN = Context("demo", is_admin=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
    yield store
    store.close()


@pytest.fixture
def driver(store: Store) -> EmbeddedNetwork:
    return EmbeddedNetwork(store, Settings())


@pytest.fixture
def admin() -> Context:
    return ADMIN
