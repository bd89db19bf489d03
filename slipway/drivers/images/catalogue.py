"""The well-known images: where they are published and what vouches for them, from a file that is kept by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from slipway.errors import ImageNotFound, InvalidFile

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What an image may be called."""

_SHIPPED = Path(__file__).with_name("catalogue.yaml")


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """An image as its publisher has it. `checksums`: the URL of the file that its checksum is in, where `digest` does
    not say it; `signature`: that of the file's signature, and `keyring` the file here with the publisher's keys."""

    url: str
    checksums: str | None = None
    digest: str | None = None
    signature: str | None = None
    keyring: str | None = None
    format: str | None = None
    aliases: tuple[str, ...] = ()


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """Images by name. `mirror`: from where they are fetched in place of their publishers, see `mirrored`."""

    images: dict[str, Published] = {}
    mirror: str | None = None

    def name_of(self, name: str) -> str | None:
        """The image's name, where it or an alias of it is this."""
        if name in self.images:
            return name
        return next((own for own, image in self.images.items() if name in image.aliases), None)

    def names(self) -> Iterator[str]:
        """All names and aliases."""
        for name, image in self.images.items():
            yield name
            yield from image.aliases


def catalogue(directory: Path | None = None) -> Catalogue:
    """The one that comes with Slipway, and over it that of the cache's directory. Raises `InvalidFile`."""
    shipped = _read(_SHIPPED)
    if directory is None or not (own := directory / "catalogue.yaml").exists():
        return shipped
    found = _read(own)
    taken = {alias for image in found.images.values() for alias in image.aliases} | set(found.images)
    below = {
        name: msgspec.structs.replace(image, aliases=tuple(alias for alias in image.aliases if alias not in taken))
        for name, image in shipped.images.items()
        if name not in taken
    }
    return Catalogue({**below, **found.images}, found.mirror)


def unknown(name: str, known: Catalogue, *more: str) -> ImageNotFound:
    """The error for a name that no image has."""
    from slipway.yamlfile.mistakes import did_you_mean

    hint = did_you_mean(name, [*known.names(), *more])
    return ImageNotFound(f"there is no image {name}, here or in the catalogue (slipway image list --catalogue){hint}")


def mirrored(url: str, mirror: str | None) -> str:
    """The URL on the mirror, which has what is at https://HOST/PATH as MIRROR/HOST/PATH, as `wget -x` writes it."""
    parts = urlsplit(url)
    if mirror is None or parts.scheme not in ("http", "https"):
        return url
    return f"{mirror.rstrip('/')}/{parts.hostname}{parts.path}"


def _read(path: Path) -> Catalogue:
    from slipway.yamlfile.document import read

    document = read(path)
    document.finish()
    try:
        found = msgspec.convert(document.value or {}, Catalogue)
    except msgspec.ValidationError as error:
        raise InvalidFile((f"{path}: {error}",)) from error
    for name in (*found.images, *(alias for image in found.images.values() for alias in image.aliases)):
        if not NAME.fullmatch(name):
            raise InvalidFile((f"{path}: an image cannot be called {name!r}: letters, digits and . _ - only",))
    for name, image in found.images.items():
        if image.checksums is None and image.digest is None:
            raise InvalidFile((f"{path}: image {name} needs checksums or digest: nothing else tells what it is",))
    return found
