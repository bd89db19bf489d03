"""Files by http: and https:, gone on with where a download was broken off or the time for it was over."""

from __future__ import annotations

import errno
import http.client
import json
import math
import os
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from slipway.drivers.deadline import left
from slipway.drivers.files import remove
from slipway.drivers.images.checksums import Digest, begun
from slipway.drivers.images.room import check_room
from slipway.drivers.images.timely_http import Unsafe, open_url
from slipway.errors import DiskError, ImageUnacceptable, StepTimeout

_CHUNK = 1 << 20

LARGEST = 1 << 40
"""Bytes of an image whose request does not say how many it has (Glance: `image_size_cap`)."""

_GONE = (404, 410)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_VALIDATOR = ".etag.json"
"""How the name of the file ends that says of which version a part is, beside the part's."""


def download(what: str, url: str, part: str, wanted: Digest | None, most: int = LARGEST) -> Digest:
    """Have all of `url` in the file `part`, of which an earlier attempt may have left the beginning; its digest, a
    SHA-256 where none is wanted. `what` is its name in errors.

    Raises `ImageUnacceptable` where it is not there, not what is wanted, or larger than `most` bytes, `DiskError` for
    a broken connection, and `StepTimeout` when the driver's call is to be back; after these two what came so far stays,
    for the next attempt. Raises `OSError` where there is no room for it, and then nothing stays: what has taken the
    room must not keep it.
    """
    try:
        with _translated(what, url, part):
            found = _fetch(url, part, wanted, most)
    except OSError as error:
        if error.errno in _NO_ROOM:
            discard(part)
        raise
    if wanted is not None and found != wanted:
        discard(part)
        raise ImageUnacceptable(f"{what}: the {found.algorithm} of {url} is {found.text}, not {wanted.text}")
    with suppress(FileNotFoundError):
        os.unlink(part + _VALIDATOR)
    return found


def fetch_small(what: str, url: str, most: int) -> bytes:
    """All of a small file, such as one of checksums. Raises what `download` does, and leaves nothing.

    An https: URL is not left for an http: one on the way: nobody may have changed what it says.
    """
    with _translated(what, url), open_url(url, {}, downgrade=False) as answer:
        content: bytes = answer.read(most + 1)
        if len(content) > most:
            raise ImageUnacceptable(f"{what}: {url} has more than the {most} bytes that it may have")
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        return content


def discard(part: str) -> None:
    """Take away what there is of a download."""
    remove(part)
    remove(part + _VALIDATOR)


class _TooLarge(Exception):
    """There is more than there may be."""


@contextmanager
def _translated(what: str, url: str, part: str | None = None) -> Iterator[None]:
    """Errors as Slipway's. What nobody can go on with takes the `part` with it."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if part is not None and (error.code in _GONE or _length(part) == 0):
            discard(part)
        kind = ImageUnacceptable if error.code in _GONE else DiskError
        raise kind(f"{what}: {url}: {error.code} {error.reason}") from error
    except (_TooLarge, Unsafe) as error:
        if part is not None:
            discard(part)
        raise ImageUnacceptable(f"{what}: {url}: {error}") from error
    except StepTimeout as error:
        came = f"; {_length(part)} bytes were there, which the next attempt goes on from" if part else ""
        raise StepTimeout(f"{what}: {url} is too slow: {error}{came}") from error
    except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", None) or error
        goes_on = " and can be gone on with" if part else ""
        raise DiskError(f"{what}: {url} broke off{goes_on}: {why}") from error


def _fetch(url: str, part: str, wanted: Digest | None, most: int) -> Digest:
    """The digest of what is in the file then."""
    target = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(target, "r+b") as file:
        digest, have = _so_far(file, wanted)
        if have and wanted is not None and digest.hexdigest() == wanted.text:
            return wanted
        validator = _validator(part)
        if validator is None and wanted is None:
            # Nothing would tell that the beginning is another version's.
            have = 0
        with _opened(url, have, validator) as answer:
            # A server that knows no ranges, or has another version by now, sends all of it again, and says so.
            if answer.status != http.client.PARTIAL_CONTENT:
                digest, have = begun(wanted), 0
                file.truncate(file.seek(0))
            _keep_validator(part, answer)
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
    return Digest(digest.name, str(digest.hexdigest()))


def _so_far(file: BinaryIO, wanted: Digest | None) -> tuple[Any, int]:
    """The digest of what an earlier attempt has left, so that all is read once, and its length."""
    digest = begun(wanted)
    while chunk := file.read(_CHUNK):
        left(math.inf)
        digest.update(chunk)
    return digest, file.tell()


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise _TooLarge(f"it has more than the {most} bytes that it may have")


def _opened(url: str, have: int, validator: str | None) -> Any:
    """The server's answer: the rest after `have` bytes, or all of it where there is no such rest."""
    if have:
        try:
            same = {} if validator is None else {"If-Range": validator}
            answer = open_url(url, {"Range": f"bytes={have}-", **same})
        except urllib.error.HTTPError as error:
            error.close()
        else:
            if answer.status != http.client.PARTIAL_CONTENT or _goes_on(answer, have, validator):
                return answer
            answer.close()
    return open_url(url, {})


def _goes_on(answer: Any, have: int, validator: str | None) -> bool:
    """Whether a part of the file is the one that was asked for, of the same version; not every server heeds both."""
    asked = (answer.headers.get("Content-Range") or f"bytes {have}-").startswith(f"bytes {have}-")
    now = _validator_of(answer)
    return asked and (validator is None or now is None or now == validator)


def _validator_of(answer: Any) -> str | None:
    """By what a server tells this version of the file from others; a weak ETag is of no use for that."""
    etag: str | None = answer.headers.get("ETag")
    found: str | None = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
    return found


def _keep_validator(part: str, answer: Any) -> None:
    with open(part + _VALIDATOR, "w", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o600)) as file:
        json.dump(_validator_of(answer), file)


def _validator(part: str) -> str | None:
    with suppress(FileNotFoundError, ValueError), open(part + _VALIDATOR, encoding="utf-8") as file:
        found = json.load(file)
        return found if isinstance(found, str) else None
    return None


def _length(part: str | None) -> int:
    with suppress(FileNotFoundError):
        return os.path.getsize(part) if part is not None else 0
    return 0
