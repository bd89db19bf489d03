"""The quotas of instances as users call them."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.checks import check
from slipway.errors import InvalidRequest
from slipway.model.limits import Name
from slipway.model.quota import InstanceQuota
from slipway.states import quotas
from slipway.states.store import Store


class InstanceQuotas:
    """How many instances projects may have, and how much vCPUs, memory and disk (in bytes) with them; -1: any.

    An instance counts from when it is on record until it is deleted, in ERROR as well. A project without limits of its
    own has none.
    """

    def __init__(self, store: Store) -> None:
        """Of this record."""
        self._store = store

    def show(self, project: str = "default") -> InstanceQuota:
        """What a project may have, and has."""
        check(project, Name, "project")
        with self._store.read() as tx:
            return quotas.show(tx, project)

    def list(self) -> Sequence[InstanceQuota]:
        """Those of the projects that have limits, by project."""
        with self._store.read() as tx:
            return quotas.limited(tx)

    def used(self) -> Sequence[InstanceQuota]:
        """Those of all projects that ever had an instance or a limit, by project."""
        with self._store.read() as tx:
            return quotas.used(tx)

    def set(
        self,
        project: str = "default",
        *,
        instances: int | None = None,
        vcpus: int | None = None,
        memory: int | None = None,
        disk: int | None = None,
        force: bool = False,
    ) -> InstanceQuota:
        """Let a project have so much; what is not named stays as it is. Gives what it may have then, and has.

        Raises `InvalidRequest` for what is no limit, and for one below what it has, but with `force`: then it gets no
        more. Nothing is changed then.
        """
        check(project, Name, "project")
        named = {"instances": instances, "vcpus": vcpus, "memory": memory, "disk": disk}
        limits = {name: limit for name, limit in named.items() if limit is not None}
        for name, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int) or not -1 <= limit <= quotas.MOST:
                raise InvalidRequest((f"{name}: {limit!r} is no limit: a whole number, or -1 for none",))
        with self._store.write() as tx:
            quotas.set_limits(tx, project, limits, force=force)
            return quotas.show(tx, project)

    def clear(self, project: str = "default") -> InstanceQuota:
        """Let a project have as much as it likes; gives what it has."""
        return self.set(project, instances=-1, vcpus=-1, memory=-1, disk=-1)
