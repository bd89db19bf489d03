"""What a hypervisor driver guarantees of a guest that is to stand still: a part of its contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from slipway.drivers.compute.base import ComputeDriver
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import PowerState
from slipway.testing.contracts.samples import make_domain

Make = Callable[[], ComputeDriver]


class StillnessContract:
    """See `slipway.testing.contracts.compute.ComputeContract`, which has its fixtures."""

    def test_a_guest_is_frozen_and_thawed(self, make_driver: Make) -> None:
        owner, driver = (domain := make_domain()).instance_id, make_driver()
        for call in (driver.freeze, partial(driver.thaw, frozen=False)):
            with pytest.raises(DomainNotFound):
                call(owner)
        driver.spawn(domain)
        thaw = partial(driver.thaw, frozen=False)
        for call, state in ((driver.freeze, PowerState.PAUSED), (thaw, PowerState.RUNNING)) * 2:
            call(owner)
            assert driver.power_state(owner) is state

    def test_a_guest_is_paused_and_goes_on(
        self, make_driver: Make, plant: Callable[[str, str], Callable[[], bool]]
    ) -> None:
        domain, driver = make_domain(), make_driver()
        still_runs = plant(domain.instance_id, "not-ours")
        with pytest.raises(DomainNotFound):
            driver.pause(domain.instance_id)
        assert still_runs()
        ours = make_domain("web-2")
        driver.spawn(ours)
        for _ in range(2):
            driver.pause(ours.instance_id)
            assert make_driver().power_state(ours.instance_id) is PowerState.PAUSED
        driver.resume(ours.instance_id)
        assert driver.power_state(ours.instance_id) is PowerState.RUNNING
        driver.stop(ours.instance_id, force=True)
        with pytest.raises(ComputeError):
            driver.pause(ours.instance_id)
        assert driver.power_state(ours.instance_id) is PowerState.SHUTDOWN
