"""Signs of readiness where there is no guest; those of real ones are in tests/host/test_real_ready.py."""

from __future__ import annotations

from slipway.model.request import Readiness, Sign
from tests.build.conftest import Maker


def test_a_simulated_host_has_no_guest_to_wait_for(make_world: Maker) -> None:
    world = make_world()
    with world.open() as orchestrator:
        waiting = tuple(Readiness(sign, 1.0, "up") for sign in Sign)
        assert orchestrator.create(world.request(wait_for=waiting)).vm_state == "ACTIVE"
    assert world.slept == []
