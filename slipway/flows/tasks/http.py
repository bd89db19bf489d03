"""Send a request to an HTTP server. The library for it is loaded when the first one is sent."""

from __future__ import annotations

import json as json_format
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Struct

from slipway.checks.urls import url_mistake
from slipway.drivers.deadline import in_time
from slipway.errors import InvalidArguments, ServerUnavailable, StepTimeout, UnexpectedAnswer
from slipway.flows.tasks.arguments import HttpUrl
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.model.request import Host
from slipway.states.intent import Durability
from slipway.texts import masked_url, named
from slipway.yamlfile.mistakes import quoted

if TYPE_CHECKING:
    import ssl

    import httpx

MOST_BYTES = 1 << 20
"""How much of an answer is kept."""

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_METHOD = re.compile(r"[A-Za-z]{1,20}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_TOO_MANY_REQUESTS = 429


class HttpResponse(Struct, frozen=True):
    """An answer. `headers` by their names in small letters; `json` where the answer is JSON, `text` where it is not.

    `cut`: there was more of it than is kept, 1 MiB, and what is kept is in `text`.
    """

    status: int
    headers: Mapping[str, str] = {}
    text: str = ""
    json: Any = None
    cut: bool = False


class Http(Task):
    """Send an HTTP request and get the answer.

    Requests that change something bear the header `Idempotency-Key` with the effect's key, which is the same when the
    request is sent again after a crash. Redirects are not followed.
    Has no undo of its own: what takes a request back is another one, which the step's `revert` says.
    """

    name = "http"
    kind = "http-request"
    irreversible = True
    harmless: ClassVar[Mapping[str, frozenset[object]]] = {"method": frozenset({None, *_SAFE})}

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What it changes is another's."""
        return Durability.FOREIGN

    def do(
        self,
        work: Work,
        url: HttpUrl,
        method: str = "GET",
        headers: Mapping[str, str] = {},
        json: Any = None,
        body: str | None = None,
        expect: tuple[int, ...] | int | None = None,
    ) -> HttpResponse:
        """`expect`: the status codes that are no failure, without it those from 200 to 299.

        Raises `UnexpectedAnswer` for another one, but `ServerUnavailable`, which is tried again where the workflow says
        so, for 429 and 5xx and where nobody answers; `StepTimeout` at the step's deadline. Then, and where the run is
        not to go on, the connection is cut: what the server has got by then it may do all the same, also after the
        request that takes it back.
        """
        method = method.upper()
        _check(url, method, headers, json, body)
        if json is not None:
            headers, body = _with_default(headers, "Content-Type", "application/json"), _encoded(json)
        if method not in _SAFE:
            headers = _with_default(headers, "Idempotency-Key", work.effect.key)
        what = f"{method} {masked_url(url)}"
        tools, line = work.tools, Line(work.check, work.tools.settings.poll_interval)
        answer = send(what, work.deadline - tools.monotonic(), method, url, headers, body, line)
        expected = expect if isinstance(expect, tuple) else (expect,) if expect is not None else range(200, 300)
        if answer.status in expected:
            return answer
        text = f"{what} answered {answer.status}{_phrase(answer.status)}"
        if answer.status == _TOO_MANY_REQUESTS or answer.status >= 500:
            raise ServerUnavailable(text)
        raise UnexpectedAnswer(text)


def _check(url: str, method: str, headers: Mapping[str, str], json: Any, body: str | None) -> None:
    """Raise `InvalidArguments` for what is no request."""
    is_http = url.partition("://")[0].lower() in ("http", "https")
    if wrong := url_mistake(url) if is_http else "must be an http or https URL":
        raise InvalidArguments(f"http: url {wrong}")
    if not _METHOD.fullmatch(method):
        raise InvalidArguments("http: method must be one of HTTP's, such as GET or PUT")
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidArguments(f"http: header {quoted(name)} has signs that no header may have")
    if json is not None and body is not None:
        raise InvalidArguments("http: json and body exclude each other")


def _with_default(headers: Mapping[str, str], name: str, value: str) -> Mapping[str, str]:
    given = any(one.lower() == name.lower() for one in headers)
    return headers if given else {**headers, name: value}


def _encoded(value: Any) -> str:
    """As JSON: versions of the library that sends it differ in how, and in whether they send a NaN."""
    try:
        return json_format.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise InvalidArguments(f"http: json has what JSON has not: {error}") from error


class Line:
    """The connection of one request. `check` is called `every` so many seconds, and raises where nobody waits for the
    answer any more."""

    def __init__(self, check: Callable[[], None], every: float) -> None:
        self.check = check
        self.every = every
        self._socket: Any = None
        self._is_cut = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear from the library what becomes of the connection (httpcore's extension `trace`)."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_cut:
                self.cut()

    def cut(self) -> None:
        """End it, whoever reads or writes there just now; one that comes about later as well."""
        self._is_cut = True
        if self._socket is not None:
            # It has ended by itself.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def send(
    what: str,
    seconds: float,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: str | None = None,
    line: Line | None = None,
) -> HttpResponse:
    """The answer to a request, which messages call `what`, whatever its status.

    Raises what the line's `check` does, `ServerUnavailable`, `UnexpectedAnswer` for what is no HTTP, and `StepTimeout`
    after so many seconds: the library bounds each wait for a part, but not a server that sends a part now and then.
    """
    import httpx

    line = line or Line(lambda: None, float("inf"))

    def call() -> HttpResponse:
        # An answer that grows when it is unpacked could be of any size.
        whole = {"Accept-Encoding": "identity", **headers}
        heard = {"trace": line.trace}
        with (
            httpx.Client(timeout=seconds, verify=trust()) as client,
            client.stream(method, url, headers=whole, content=body, extensions=heard) as answer,
        ):
            return _kept(answer)

    try:
        if seconds > 0:
            return in_time(call, seconds, name="slipway-http", check=line.check, every=line.every)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise InvalidArguments(f"http: url is none that can be used: {error}") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise StepTimeout(f"{what}: no answer within {seconds:.3g} s") from error
    except httpx.TransportError as error:
        raise ServerUnavailable(f"{what}: {named(error)}") from error
    except httpx.HTTPError as error:
        raise UnexpectedAnswer(f"{what}: {named(error)}") from error
    finally:
        line.cut()
    raise StepTimeout(f"{what}: the time of the step is over")


@cache
def trust() -> ssl.SSLContext:
    """The certificates that a server is believed by, read once: a client reads them anew for itself and for each proxy,
    which takes twenty times as long as its request."""
    import httpx

    return httpx.create_ssl_context()


def _kept(response: httpx.Response) -> HttpResponse:
    """What is kept of an answer, as much of it as is read."""
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            break
    cut = len(content) > MOST_BYTES
    headers = {name.lower(): value for name, value in response.headers.items()}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not cut and (kind == "application/json" or kind.endswith("+json")):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return HttpResponse(response.status_code, headers, json=msgspec.json.decode(content))
    try:
        text = content[:MOST_BYTES].decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        text = content[:MOST_BYTES].decode("utf-8", "replace")
    return HttpResponse(response.status_code, headers, text, cut=cut)


def _phrase(status: int) -> str:
    with suppress(ValueError):
        return f" ({HTTPStatus(status).phrase})"
    return ""
