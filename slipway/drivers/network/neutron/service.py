"""One Neutron: requests on somebody's behalf, lists that are complete, errors in our own classes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway import errors
from slipway.drivers.deadline import in_time, left
from slipway.drivers.network.neutron.translation import translated
from slipway.model.network import Context

if TYPE_CHECKING:
    from openstack.connection import Connection

ADMIN = "admin"
MEMBER = "member,reader"

TIMEOUT = 60.0
"""Seconds that Neutron, or Keystone before it, may take for an answer, all of it."""


class Service:
    """Neutron's API, connected to when it is first needed; may be used by many threads at once.

    By a `cloud` of the user's clouds.yaml, all is done with that cloud's own credentials, in its own project, which
    stands for whatever project a context names. By an `endpoint`, without Keystone, Neutron is told in Keystone's
    headers on whose behalf a request is made. Nothing is repeated here: whoever calls knows what may be.
    """

    def __init__(self, cloud: str | None, endpoint: str | None) -> None:
        """`endpoint`: the URL before `/v2.0`. Raises `InvalidInput` unless it is either of the two."""
        if (cloud is None) == (endpoint is None):
            raise errors.InvalidInput(
                "network: neutron needs either `cloud` (a name in clouds.yaml) or `endpoint` (a URL) in the settings"
            )
        self._cloud = cloud
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._open: Connection | None = None
        self._extensions: frozenset[str] | None = None

    def has_extension(self, context: Context, alias: str) -> bool:
        """Whether this Neutron has the extension; it is asked once."""
        if self._extensions is None:
            self._extensions = frozenset(str(each.get("alias")) for each in self.all(context, "extensions", {}))
        return alias in self._extensions

    def project_of(self, context: Context) -> str:
        """The project in Neutron that the context's project stands for."""
        return str(self._own_project() or context.project_id)

    def seen_by(self, context: Context, thing: Mapping[str, Any]) -> dict[str, Any]:
        """What Neutron said of a thing, with the context's project where it is in the cloud's own one."""
        own = self._own_project()
        ours = own is not None and thing.get("project_id") == own and context.project_id
        return {**thing, "project_id": context.project_id} if ours else dict(thing)

    def _own_project(self) -> str | None:
        if self._endpoint is not None:
            return None
        return self._asked("the project", lambda: self._connection().current_project_id)  # type: ignore[no-any-return]

    def all(self, context: Context, collection: str, query: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """All of a list, or one page of it where the query has a `limit`; a server may give less at once than asked."""
        found: list[Mapping[str, Any]] = []
        query = {name: value for name, value in query.items() if value is not None}
        while True:
            answer = self.request(context, "GET", f"/{collection}", query=query)
            name = collection.replace("-", "_")
            page = answer.get(name)
            if not isinstance(page, list):
                raise errors.TransientNetworkError(f"GET /{collection}: the answer has no {name}")
            found += page
            following = any(link.get("rel") == "next" for link in answer.get(f"{name}_links", ()))
            if not page or "limit" in query or not following:
                return found
            if query.get("marker") == page[-1]["id"]:
                raise errors.TransientNetworkError(f"GET /{collection}: the same page comes again and again")
            query["marker"] = page[-1]["id"]

    def one(
        self,
        context: Context,
        method: str,
        path: str,
        resource: str,
        body: Mapping[str, Any] | None = None,
        *,
        absent: type[errors.NotFound] | None = None,
        revision: int | None = None,
    ) -> Mapping[str, Any]:
        """The one thing that an answer is about; a change of it only if that is the revision that there is."""
        given = None if body is None else {resource: body}
        found = self.request(context, method, path, body=given, absent=absent, revision=revision).get(resource)
        if not isinstance(found, dict):
            raise errors.TransientNetworkError(f"{method} {path}: the answer has no {resource}")
        return found

    def request(
        self,
        context: Context,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        absent: type[errors.NotFound] | None = None,
        revision: int | None = None,
    ) -> Mapping[str, Any]:
        """One request. Raises the `NetworkError` of Neutron's name; no answer is a `TransientNetworkError`."""
        what = f"{method} {path}"
        condition = {} if revision is None else {"If-Match": f"revision_number={revision}"}

        def ask() -> Any:
            return self._client().request(
                path,
                method,
                params=query,
                json=body,
                headers={**self._headers(context), **condition},
                raise_exc=False,
                connect_retries=0,
            )

        response = self._asked(what, ask)
        if response.status_code == 204:
            return {}
        try:
            answer = response.json()
        except ValueError as error:
            raise translated(what, response.status_code, None, absent) from error
        if not 200 <= response.status_code < 300:
            raise translated(what, response.status_code, answer, absent)
        if not isinstance(answer, dict):
            raise errors.TransientNetworkError(f"{what}: the answer is no object")
        return answer

    def _headers(self, context: Context) -> dict[str, str]:
        """Whom Neutron is to think of, where no Keystone says it."""
        if self._endpoint is None:
            return {}
        role = ADMIN if context.is_admin else MEMBER
        return {"X-Project-Id": context.project_id, "X-User-Id": "slipway", "X-Roles": role}

    def _asked(self, what: str, ask: Any) -> Any:
        """What the SDK gives; its errors are such as stand before any answer of Neutron's."""
        from keystoneauth1 import exceptions as auth
        from openstack import exceptions as sdk

        seconds = left(TIMEOUT)
        try:
            return in_time(ask, seconds, name="neutron")
        except TimeoutError as error:
            raise errors.TransientNetworkError(f"{what}: no answer within {seconds:.3g} s") from error
        except (sdk.ConfigException, auth.MissingRequiredOptions, auth.EndpointNotFound, auth.BadRequest) as error:
            raise errors.InvalidInput(f"cloud {self._cloud} cannot be used: {error}") from error
        except (auth.Unauthorized, auth.Forbidden) as error:
            raise errors.Forbidden(f"{what}: Keystone refuses the credentials of cloud {self._cloud}") from error
        except (auth.ClientException, sdk.SDKException) as error:
            raise errors.TransientNetworkError(f"{what}: {' '.join(str(error).split())}") from error

    def _client(self) -> Any:
        """What makes HTTP requests. A cloud's Neutron is looked up; an endpoint is as the user says."""
        from keystoneauth1.adapter import Adapter

        connection = self._connection()
        where = connection.network.get_endpoint() if self._endpoint is None else f"{self._url()}/v2.0"
        return Adapter(connection.session, endpoint_override=where)

    def _url(self) -> str:
        assert self._endpoint is not None
        return self._endpoint.rstrip("/").removesuffix("/v2.0")

    def _connection(self) -> Connection:
        """The SDK's connection. Its module takes long to load, and so is loaded here."""
        import openstack

        with self._lock:
            if self._open is None:
                if self._endpoint is not None:
                    where: dict[str, Any] = {
                        "auth_type": "none",
                        "auth": {"endpoint": self._url()},
                        "load_yaml_config": False,
                        "load_envvars": False,
                    }
                else:
                    where = {"cloud": self._cloud, "load_envvars": False}
                self._open = openstack.connect(**where, api_timeout=TIMEOUT, app_name="slipway")
            return self._open
