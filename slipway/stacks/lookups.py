"""What a run file's names stand for, in the eyes of its project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import RoutingDriver
from slipway.model.network import Context, Network, Port, SecurityGroup, Subnet
from slipway.model.routing import FloatingIp, Router
from slipway.stacks.ours import Ours
from slipway.states.postgresql import lock_network
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction


@contextmanager
def all_or_nothing(store: Store, network: NetworkDriver) -> Iterator[Transaction | None]:
    """One transaction around all of it for a local network; none for a foreign one, which must not be called in one."""
    if not network.local:
        yield None
        return
    with store.write() as tx:
        lock_network(tx, alone=True)
        yield tx


Named = TypeVar("Named", Network, Subnet, Port, SecurityGroup)
T = TypeVar("T", Network, Subnet, Port, SecurityGroup, Router, FloatingIp)
AMBIGUOUS = (errors.NetworkAmbiguous, errors.NoUniqueMatch)
"""What the look-ups raise for a name that several have."""


class Lookups:
    """Finds a project's own things by name. Of several with a name the stack's own is meant; none is by chance."""

    def __init__(self, driver: NetworkDriver, user: Context, ours: Ours, tx: Transaction | None) -> None:
        self._driver, self._user, self._ours, self._tx = driver, user, ours, tx

    def network(self, name: str) -> Network | None:
        """The project's own network; a shared one of another project is not ours. Raises `NetworkAmbiguous`."""
        listed = self._driver.list_networks(self._user, name=name, tx=self._tx)
        return self._only(Kind.NETWORK, name, self._own(listed), errors.NetworkAmbiguous)

    def security_group(self, name: str) -> SecurityGroup | None:
        """The project's own group. Raises `NoUniqueMatch`."""
        listed = self._driver.list_security_groups(self._user, name=name, tx=self._tx)
        return self._only(Kind.SECURITY_GROUP, name, self._own(listed))

    def subnet(self, network: Network, name: str) -> Subnet | None:
        """The network's subnet. Raises `NoUniqueMatch`."""
        listed = self._driver.list_subnets(self._user, network_id=network.id, name=name, tx=self._tx)
        return self._only(Kind.SUBNET, name, listed)

    def port(self, network: Network, name: str) -> Port | None:
        """The project's port on the network, where others may have some as well. Raises `NoUniqueMatch`."""
        listed = self._driver.list_ports(self._user, network_id=network.id, name=name, tx=self._tx)
        return self._only(Kind.PORT, name, self._own(listed))

    def router(self, driver: RoutingDriver, name: str) -> Router | None:
        """The project's own router. Raises `NoUniqueMatch`."""
        return self._only(Kind.ROUTER, name, self._own(driver.list_routers(self._user, name=name, tx=self._tx)))

    def floating_ip(self, driver: RoutingDriver, name: str) -> FloatingIp | None:
        """The project's own floating IP, whose description is its name. Raises `NoUniqueMatch`."""
        listed = driver.list_floatingips(self._user, description=name, tx=self._tx)
        return self._only(Kind.FLOATING_IP, name, self._own(listed))

    def _own(self, listed: Sequence[T]) -> Sequence[T]:
        return [thing for thing in listed if thing.project_id == self._user.project_id]

    def _only(
        self, kind: Kind, name: str, found: Sequence[T], error: type[errors.SlipwayError] = errors.NoUniqueMatch
    ) -> T | None:
        if len(found) > 1:
            found = self._ours.of(kind, found) or found
        if len(found) > 1:
            raise error(f"project {self._user.project_id} has several {kind}s called {name}")
        return found[0] if found else None
