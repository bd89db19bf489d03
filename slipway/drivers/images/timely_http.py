"""HTTP that ends with the driver's call, whatever takes long: a name's look-up, or a byte that comes now and then."""

from __future__ import annotations

import http.client
import io
import urllib.request
from collections.abc import Mapping
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from slipway.drivers.deadline import in_time, left

SILENCE = 30.0
"""Seconds after which a server that sends nothing is given up."""


class Unsafe(Exception):
    """A server sends us on to where an image must not come from; the text says where."""


def open_url(url: str, headers: Mapping[str, str], *, downgrade: bool = True) -> Any:
    """The answer to a GET. Redirects are followed, by http and https alone; `downgrade`: from https to http as well.

    Raises `Unsafe` for any other, `StepTimeout` when the driver's call is to be back, also while the answer is read,
    and what urllib raises.
    """
    return _opener(downgrade).open(urllib.request.Request(url, headers=dict(headers)), timeout=SILENCE)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, downgrade: bool) -> None:
        self._downgrade = downgrade

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Look at where it leads before anything is opened."""
        to = urlsplit(headers.get("Location") or "").scheme.lower()
        if to not in ("", "http", "https"):
            fp.close()
            raise Unsafe(f"it sends us on to a URL of {to}:, which is not followed")
        if to == "http" and req.type == "https" and not self._downgrade:
            fp.close()
            raise Unsafe("it sends us on from https: to http:, where anybody could have changed it")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(downgrade: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(downgrade),
        urllib.request.HTTPErrorProcessor(),
        _Http(),
        _Https(),
    ):
        opener.add_handler(handler)
    return opener


class _Reader(io.RawIOBase):
    """A socket's stream; each time that something is waited for there is as much time as is left."""

    def __init__(self, sock: socket) -> None:
        self._socket = sock
        self._stream = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """It is all that it is for."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What has come. Raises `StepTimeout`, and `TimeoutError` for a server that is silent."""
        self._socket.settimeout(left(SILENCE))
        try:
            return self._stream.readinto(buffer)
        except TimeoutError:
            left(SILENCE)
            raise

    def close(self) -> None:
        """Close the stream, and with it the socket."""
        self._stream.close()
        super().close()


class _Socket:
    """What an answer needs of a socket."""

    def __init__(self, sock: socket) -> None:
        self._socket = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Its stream."""
        return io.BufferedReader(_Reader(self._socket))


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **more: Any) -> None:
        super().__init__(_Socket(sock), *args, **more)  # type: ignore[arg-type]


class _InTime:
    """A connection that is made in time; a look-up of the server's name has no bound of its own."""

    response_class: type[http.client.HTTPResponse] = _Answer

    def connect(self) -> None:
        """Connect, with TLS where that is wanted."""
        try:
            in_time(super().connect, left(SILENCE), name="connecting to a server of images")  # type: ignore[misc]
        except TimeoutError as error:
            left(SILENCE)
            raise TimeoutError(f"no connection within {SILENCE:g} s") from error


class _Connection(_InTime, http.client.HTTPConnection):
    pass


class _SecureConnection(_InTime, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        """Open it."""
        return self.do_open(_Connection, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> Any:
        """Open it."""
        return self.do_open(_SecureConnection, request)
