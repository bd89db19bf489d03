"""Images by http: and https:, gone on with where a download was broken off."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from typing import Any

from slipway.errors import DiskError, ImageUnacceptable
from slipway.model.request import Image

_CHUNK = 1 << 20
_SILENCE = 30.0
"""Seconds after which a server that sends nothing is given up."""

_GONE = (404, 410)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def download(image: Image, url: str, sha256: str, part: str) -> None:
    """Have all of `url` in the file `part`, of which an earlier attempt may have left the beginning.

    Raises `ImageUnacceptable` where it is not there or not what `sha256` says, `DiskError` for a broken connection;
    then what came so far stays, for the next attempt. Raises `OSError` where there is no room for it, and then nothing
    stays: what has taken the room must not keep it.
    """
    try:
        _fetch(url, part)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _GONE or os.path.getsize(part) == 0:
            os.unlink(part)
        kind = ImageUnacceptable if error.code in _GONE else DiskError
        raise kind(f"image {image.name}: {url}: {error.code} {error.reason}") from error
    except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", None) or error
        raise DiskError(f"image {image.name}: {url} broke off and can be gone on with: {why}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            os.unlink(part)
        raise
    with open(part, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        os.unlink(part)
        raise ImageUnacceptable(f"image {image.name}: the sha256 of {url} is {found}, not {sha256}")


def _fetch(url: str, part: str) -> None:
    target = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(target, "wb") as file:
        have = file.seek(0, os.SEEK_END)
        with _opened(url, have) as answer:
            # A server that knows no ranges sends all of it again, and says so.
            if answer.status != http.client.PARTIAL_CONTENT:
                file.truncate(0)
                file.seek(0)
            missing = answer.length
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                missing = None if missing is None else missing - len(chunk)
            if missing:
                raise http.client.IncompleteRead(b"", missing)


def _opened(url: str, have: int) -> Any:
    """The server's answer: the rest after `have` bytes, or all of it where there is no such rest."""
    if have:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"})
        try:
            return urllib.request.urlopen(request, timeout=_SILENCE)
        except urllib.error.HTTPError as error:
            error.close()
    return urllib.request.urlopen(url, timeout=_SILENCE)
