from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.neutron.process import Neutron, Wire


@pytest.fixture
def wire(neutron: Neutron) -> Iterator[Wire]:
    """A proxy before a real Neutron, which a test can make fail."""
    wire = Wire(neutron.endpoint)
    yield wire
    wire.close()
