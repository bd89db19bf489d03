"""What a run file's names stand for, in the eyes of its project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.network import Context, Network, Port, SecurityGroup
from slipway.stacks.ours import Ours
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction


@contextmanager
def all_or_nothing(store: Store, network: NetworkDriver) -> Iterator[Transaction | None]:
    """One transaction around all of it for a local network; none for a foreign one, which must not be called in one."""
    if not network.local:
        yield None
        return
    with store.write() as tx:
        yield tx


class Lookups:
    """Finds a project's own things by name. Of several with a name the stack's own is meant."""

    def __init__(self, driver: NetworkDriver, user: Context, ours: Ours, tx: Transaction | None) -> None:
        self._driver, self._user, self._ours, self._tx = driver, user, ours, tx

    def network(self, name: str) -> Network | None:
        """The project's own network; a shared one of another project is not ours. Raises `NetworkAmbiguous`."""
        listed = self._driver.list_networks(self._user, name=name, tx=self._tx)
        found = [network for network in listed if network.project_id == self._user.project_id]
        if len(found) > 1:
            found = list(self._ours.of(Kind.NETWORK, found)) or found
        if len(found) > 1:
            raise errors.NetworkAmbiguous(f"project {self._user.project_id} has several networks called {name}")
        return found[0] if found else None

    def security_group(self, name: str) -> SecurityGroup | None:
        """The project's own group. Raises `NoUniqueMatch`."""
        listed = self._driver.list_security_groups(self._user, name=name, tx=self._tx)
        found = [group for group in listed if group.project_id == self._user.project_id]
        if len(found) > 1:
            found = list(self._ours.of(Kind.SECURITY_GROUP, found)) or found
        if len(found) > 1:
            raise errors.NoUniqueMatch(f"project {self._user.project_id} has several security groups called {name}")
        return found[0] if found else None

    def port(self, network: Network, name: str) -> Port | None:
        """The project's port on the network; the oldest where several have the name and none is the stack's."""
        found = self._driver.list_ports(self._user, network_id=network.id, name=name, tx=self._tx)
        mine = self._ours.of(Kind.PORT, found) if len(found) > 1 else ()
        return next(iter([*mine, *found]), None)
