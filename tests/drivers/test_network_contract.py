"""The contract of network drivers, over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import driver_class
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing.contracts.network import NetworkContract, RoutingContract
from tests.neutron.process import VIF_TYPE, Neutron

Make = Callable[[], NetworkDriver]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
    yield store
    store.close()


class TestEmbedded(NetworkContract, RoutingContract):
    @pytest.fixture
    def make_driver(self, store: Store) -> Make:
        return partial(driver_class("network", "embedded"), store, Settings())


class TestNeutron(NetworkContract, RoutingContract):
    vif_type = VIF_TYPE

    @pytest.fixture
    def make_driver(self, store: Store, neutron: Neutron) -> Make:
        return partial(
            driver_class("network", "neutron"), store, Settings(network="neutron", endpoint=neutron.endpoint)
        )
