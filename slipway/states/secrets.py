"""What of a request is on record only while its instance is built: user data and the contents of files."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec.structs import replace

from slipway import errors
from slipway.model.request import InstanceRequest
from slipway.states import codec


class _Secrets(msgspec.Struct, frozen=True):
    """What of a request is on record only while the instance is built; the files' contents in their order."""

    user_data: str | None
    files: tuple[str | None, ...]


def to_keep(request: InstanceRequest) -> InstanceRequest:
    """The request as it is kept for good: with digests in place of its user data and its files' contents."""
    if request.user_data is not None:
        request = replace(request, user_data=None, user_data_sha256=_digest(request.user_data))
    files = tuple(
        file if file.content is None else replace(file, content=None, sha256=_digest(file.content))
        for file in request.files
    )
    return replace(request, files=files) if files else request


def bears_secrets(request: InstanceRequest) -> bool:
    """Whether there is something in it that is on record only while the instance is built."""
    return request.user_data is not None or any(file.content is not None for file in request.files)


def lacks_secrets(request: InstanceRequest) -> bool:
    """Whether something of it was on record only while the instance was built, and is gone."""
    contents = any(file.content is None and file.sha256 is not None for file in request.files)
    return contents or (request.user_data is None and request.user_data_sha256 is not None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def secrets_of(request: InstanceRequest) -> str | None:
    """What `to_keep` leaves out, None where that is nothing."""
    if request.user_data is None and not request.files:
        return None
    return codec.encode(_Secrets(request.user_data, tuple(file.content for file in request.files))).decode()


def with_secrets(request: InstanceRequest, text: str) -> InstanceRequest:
    """The request as it was, of what `to_keep` and `secrets_of` made of it. Raises `RecordDamaged`."""
    secrets = codec.decode(text.encode(), _Secrets)
    if len(secrets.files) != len(request.files):
        raise errors.RecordDamaged(f"it has {len(request.files)} files, and the contents of {len(secrets.files)}")
    files = (replace(file, content=content) for file, content in zip(request.files, secrets.files, strict=True))
    return replace(request, user_data=secrets.user_data, files=tuple(files))
