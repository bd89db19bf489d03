"""What the parts of the driver for a real Neutron make their requests by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from slipway import errors
from slipway.drivers.network.neutron import conversion
from slipway.drivers.network.neutron.paths import path as _path
from slipway.drivers.network.neutron.service import Service
from slipway.model.network import Context

T = TypeVar("T")


class Requests:
    """Requests about one thing or a list, with the answers as our records."""

    _service: Service

    def _list(
        self, context: Context, collection: str, shape: Callable[[conversion.Json], T], **query: Any
    ) -> Sequence[T]:
        found = self._service.all(context, collection, query)
        return [shape(self._service.seen_by(context, each)) for each in found]

    def _one(
        self,
        context: Context,
        method: str,
        path: str,
        resource: str,
        shape: Callable[[conversion.Json], T],
        body: Mapping[str, Any] | None = None,
        *,
        absent: type[errors.NotFound] | None = None,
        revision: int | None = None,
    ) -> T:
        answer = self._service.one(context, method, path, resource, body, absent=absent, revision=revision)
        return shape(self._service.seen_by(context, answer))

    def _create(
        self,
        context: Context,
        collection: str,
        resource: str,
        shape: Callable[[conversion.Json], T],
        attributes: Mapping[str, Any],
    ) -> T:
        """Make it in the context's project, where no other is named."""
        wanted = attributes.get("project_id") or context.project_id
        project = self._service.project_of(Context(wanted, context.is_admin))
        body = {**conversion.request(attributes), "project_id": project}
        return self._one(context, "POST", f"/{collection}", resource, shape, body)

    def _delete(self, context: Context, collection: str, thing_id: str, absent: type[errors.NotFound]) -> None:
        self._service.request(context, "DELETE", _path(collection, thing_id, absent), absent=absent)
