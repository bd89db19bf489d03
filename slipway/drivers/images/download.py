"""Images by http: and https:, gone on with where a download was broken off or the time for it was over."""

from __future__ import annotations

import errno
import hashlib
import http.client
import math
import os
import urllib.error
import urllib.request
from typing import Any, BinaryIO

from slipway.drivers.deadline import left
from slipway.drivers.images.room import check_room
from slipway.drivers.images.timely_http import open_url
from slipway.errors import DiskError, ImageUnacceptable, StepTimeout
from slipway.model.request import Image

_CHUNK = 1 << 20

LARGEST = 1 << 40
"""Bytes of an image whose request does not say how many it has (Glance: `image_size_cap`)."""

_GONE = (404, 410)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def download(image: Image, url: str, sha256: str, part: str) -> None:
    """Have all of `url` in the file `part`, of which an earlier attempt may have left the beginning.

    Raises `ImageUnacceptable` where it is not there, not what `sha256` says, or larger than it may be, `DiskError` for
    a broken connection, and `StepTimeout` when the driver's call is to be back; after these two what came so far stays,
    for the next attempt. Raises `OSError` where there is no room for it, and then nothing stays: what has taken the
    room must not keep it.
    """
    try:
        found = _fetch(url, part, sha256, image.size or LARGEST)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _GONE or os.path.getsize(part) == 0:
            os.unlink(part)
        kind = ImageUnacceptable if error.code in _GONE else DiskError
        raise kind(f"image {image.name}: {url}: {error.code} {error.reason}") from error
    except _TooLarge as error:
        os.unlink(part)
        raise ImageUnacceptable(f"image {image.name}: {url} {error}") from error
    except StepTimeout as error:
        came = f"{os.path.getsize(part)} bytes were there, which the next attempt goes on from"
        raise StepTimeout(f"image {image.name}: {url} is too slow: {error}; {came}") from error
    except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", None) or error
        raise DiskError(f"image {image.name}: {url} broke off and can be gone on with: {why}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            os.unlink(part)
        raise
    if found != sha256:
        os.unlink(part)
        raise ImageUnacceptable(f"image {image.name}: the sha256 of {url} is {found}, not {sha256}")


class _TooLarge(Exception):
    """There is more than there may be."""


def _fetch(url: str, part: str, sha256: str, most: int) -> str:
    """The digest of what is in the file then."""
    target = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(target, "r+b") as file:
        digest, have = _so_far(file)
        if have and digest.hexdigest() == sha256:
            return sha256
        with _opened(url, have) as answer:
            # A server that knows no ranges sends all of it again, and says so.
            if answer.status != http.client.PARTIAL_CONTENT:
                digest, have = hashlib.sha256(), 0
                file.truncate(file.seek(0))
            missing = answer.length
            _check_size(have + (missing or 0), most)
            check_room(part, missing or 0)
            while chunk := answer.read1(_CHUNK):
                left(math.inf)
                have += len(chunk)
                _check_size(have, most)
                check_room(part, len(chunk))
                file.write(chunk)
                digest.update(chunk)
                missing = None if missing is None else missing - len(chunk)
            if missing:
                raise http.client.IncompleteRead(b"", missing)
    return str(digest.hexdigest())


def _so_far(file: BinaryIO) -> tuple[Any, int]:
    """The digest of what an earlier attempt has left, so that all is read once, and its length."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        left(math.inf)
        digest.update(chunk)
    return digest, file.tell()


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise _TooLarge(f"has more than the {most} bytes that it may have")


def _opened(url: str, have: int) -> Any:
    """The server's answer: the rest after `have` bytes, or all of it where there is no such rest."""
    if have:
        try:
            return open_url(url, {"Range": f"bytes={have}-"})
        except urllib.error.HTTPError as error:
            error.close()
    return open_url(url, {})
