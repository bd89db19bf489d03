"""A network service under test, and what its tests begin with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context, Network, Subnet

NOBODY = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
"""An id that nothing has."""

HOSTS = ("node-1", "node-2")
"""The hosts to which the service must be able to bind ports."""


class Service:
    """The service, with a project that nobody used before; `driver()` makes a new driver of it, as after a restart."""

    def __init__(self, driver: Callable[[], NetworkDriver]) -> None:
        self.driver = driver
        self.user = Context(f"demo-{uuid.uuid4().hex[:8]}")
        self.admin = Context(self.user.project_id, is_admin=True)
        self.stranger = Context(f"other-{uuid.uuid4().hex[:8]}")


class ServiceContract:
    """What the parts of the contract have in common. A subclass overrides the fixture `make_driver`."""

    vif_type: ClassVar[str] = "bridge"
    """How the service binds ports of these hosts."""

    @pytest.fixture
    def make_driver(self) -> Callable[[], NetworkDriver]:
        """Makes a driver; each call another one of the same service, as after a restart."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture make_driver")

    @pytest.fixture
    def service(self, make_driver: Callable[[], NetworkDriver]) -> Service:
        """The service with users of its own."""
        return Service(make_driver)

    @pytest.fixture
    def driver(self, service: Service) -> NetworkDriver:
        """A driver of it."""
        return service.driver()

    @pytest.fixture
    def network(self, service: Service, driver: NetworkDriver) -> Network:
        """A network of the user's."""
        return driver.create_network(service.admin, name="net", project_id=service.user.project_id)

    @pytest.fixture
    def subnet(self, service: Service, driver: NetworkDriver, network: Network) -> Subnet:
        """A subnet of that network."""
        cidr = "10.0.0.0/24"
        return driver.create_subnet(service.user, network_id=network.id, name="subnet", cidr=cidr, ip_version=4)


@contextmanager
def raises(kind: type[errors.NetworkError], text: str | None = None) -> Iterator[None]:
    """Just this class, whose text names no more than one line."""
    with pytest.raises(kind, match=text) as caught:
        yield
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
