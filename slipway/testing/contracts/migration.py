"""What a hypervisor driver guarantees of a guest that goes to another host while it runs: a part of its contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.drivers.compute.base import ComputeDriver, Migration
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import ENDED, PowerState
from slipway.testing.contracts.samples import make_domain

Make = Callable[[], ComputeDriver]


class Enough(Exception):
    """Whoever waited for a migration waits no longer."""


class MigrationContract:
    """Of drivers whose guests can go, beside `slipway.testing.contracts.compute.ComputeContract`, which has its other
    fixtures."""

    @pytest.fixture
    def make_other(self) -> Make:
        """As `make_driver`, of another hypervisor to which guests can go."""
        raise NotImplementedError(f"{type(self).__name__}: override make_other")

    def test_a_guest_goes_on_on_another_host(self, make_driver: Make, make_other: Make) -> None:
        domain, here, there = make_domain(), make_driver(), make_other()
        owner = domain.instance_id
        here.spawn(domain)
        there.redefine(domain)
        assert list(here.unmovable(owner, there.endpoint())) == []
        told: list[Migration] = []
        assert here.end_migration(owner) is False
        here.migrate(domain, there.endpoint(), copied=(), tell=told.append)
        assert (make_driver().power_state(owner), make_other().power_state(owner)) == (
            PowerState.SHUTDOWN,
            PowerState.RUNNING,
        )
        assert told
        assert all(0 <= one.percent <= 100 for one in told)
        assert make_driver().end_migration(owner) is True
        assert there.end_migration(owner) is False
        (info,) = there.list_domains()
        assert (info.instance_id, info.name, info.fault) == (owner, domain.name, "")
        here.destroy(owner)
        assert there.power_state(owner) is PowerState.RUNNING
        there.stop(owner, force=True)
        there.start(owner)
        assert there.power_state(owner) is PowerState.RUNNING

    def test_who_is_told_can_end_it_and_the_guest_goes_on_where_it_is(
        self, make_driver: Make, make_other: Make
    ) -> None:
        domain, here, there = make_domain(), make_driver(), make_other()
        owner = domain.instance_id
        here.spawn(domain)
        there.redefine(domain)

        def tell(_migration: Migration) -> None:
            raise Enough

        with pytest.raises(Enough):
            here.migrate(domain, there.endpoint(), copied=(), tell=tell)
        assert here.end_migration(owner) is False
        assert here.power_state(owner) is PowerState.RUNNING
        assert there.power_state(owner) in ENDED
        here.migrate(domain, there.endpoint(), copied=(), tell=lambda _migration: None)
        assert there.power_state(owner) is PowerState.RUNNING

    def test_a_guest_that_does_not_run_or_is_not_there_goes_nowhere(self, make_driver: Make, make_other: Make) -> None:
        domain, here, there = make_domain(), make_driver(), make_other()
        owner = domain.instance_id
        there.redefine(domain)
        for _ in range(2):
            with pytest.raises(ComputeError):
                here.migrate(domain, there.endpoint(), copied=(), tell=lambda _migration: None)
            assert there.power_state(owner) is PowerState.SHUTDOWN
            here.redefine(domain)
        for call in (make_driver().end_migration, lambda owner: here.unmovable(owner, there.endpoint())):
            with pytest.raises(DomainNotFound):
                call("nobody")
