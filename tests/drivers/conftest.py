"""What the tests of drivers build on: instances and domains of any name and size."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.model.machine import Domain, Vif
from slipway.model.record import Instance
from slipway.testing.contracts import samples


@pytest.fixture
def make_instance() -> Callable[..., Instance]:
    return samples.make_instance


@pytest.fixture
def make_vif() -> Callable[..., Vif]:
    return samples.make_vif


@pytest.fixture
def make_domain() -> Callable[..., Domain]:
    return samples.make_domain
