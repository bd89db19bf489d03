"""The images that have names: added from files and URLs, pulled by the catalogue, and made of guests' disks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec import Struct

from slipway.drivers.files import locked, make_directories
from slipway.drivers.images import sources
from slipway.drivers.images.catalogue import NAME, Published, catalogue, mirrored, unknown
from slipway.drivers.images.checksums import Digest
from slipway.drivers.images.conversion import accepted
from slipway.drivers.images.download import LARGEST
from slipway.drivers.images.formats import format_by_name, format_named
from slipway.drivers.images.shelf import Named, Shelf, StoredImage
from slipway.drivers.images.users import users
from slipway.errors import DiskError, ImageExists, ImageInUse, ImageNotFound, ImageUnacceptable
from slipway.texts import masked_url


class Pulled(Struct, frozen=True):
    """What `pull` came to. `changed`: it was fetched, and is not the one that was there before."""

    image: StoredImage
    changed: bool


class ImageLibrary:
    """The named images of one machine; may be used by many threads and processes at once.

    Raises `ImageNotFound`, `ImageExists`, `ImageInUse`, `ImageUnacceptable` for what cannot be used, and `DiskError`
    where the cache cannot be; nothing is half there then, but for the beginning of a download that broke off.
    """

    def __init__(self, state: Path, *, clock: Callable[[], datetime] = partial(datetime.now, UTC)) -> None:  # noqa: B008
        self._state, self._clock = state, clock
        self._shelf = Shelf(state)

    def add(
        self,
        name: str,
        source: str,
        *,
        vouched: sources.Vouched | None = None,
        form: str | None = None,
        most: int = LARGEST,
        replace: bool = False,
    ) -> StoredImage:
        """Have an image of that name, from a file or a URL, checked and made a qcow2. `most`: bytes, unpacked.

        `vouched`: what says that it is the right one; a URL of http: needs it. `replace`: another of that name may be
        there.
        """
        said = format_named(form) if form else format_by_name(source)
        with self._of(name):
            if not replace and self._shelf.named(name) is not None:
                raise ImageExists(f"there is an image {name} already: --replace puts another in its place")
            wanted, signed = sources.vouched_digest(name, source, vouched)
            if wanted is None and sources.is_remote(source):
                raise ImageUnacceptable(f"image {name}: nothing says what {source} is to be: give its checksum")
            return self._brought(name, source, wanted, said, most, signed=signed)

    def pull(self, name: str, *, mirror: str | None = None, most: int = LARGEST) -> Pulled:
        """Have the catalogue's image of that name, or alias, as it is published now."""
        known = catalogue(self._shelf.directory)
        own = known.name_of(name)
        if own is None:
            raise unknown(name, known)
        return self._pulled(own, known.images[own], mirror or known.mirror, most)

    def _pulled(self, name: str, entry: Published, mirror: str | None, most: int) -> Pulled:
        vouched = sources.Vouched(
            digest=entry.digest,
            checksums=entry.checksums and mirrored(entry.checksums, mirror),
            signature=entry.signature and mirrored(entry.signature, mirror),
            keyring=sources.usable(entry.keyring),
            of=entry.url,
        )
        url = mirrored(entry.url, mirror)
        with self._of(name):
            wanted, signed = sources.vouched_digest(name, url, vouched)
            assert wanted is not None
            before = self._shelf.named(name)
            if before is not None and before.digest == str(wanted):
                return Pulled(self._shown(before), changed=False)
            if before is not None and not before.published:
                raise ImageExists(f"there is an image {name} that is not the catalogue's: delete it first")
            said = entry.format and format_named(entry.format)
            image = self._brought(name, url, wanted, said, most, signed=signed, published=True)
            return Pulled(image, changed=True)

    def create(self, name: str, disk: str, source: str) -> StoredImage:
        """Have an image of that name that is what a guest sees of a disk of ours, which nobody may write on.

        What is empty takes no room, and the image stands alone. `source` says in words what it was made of.
        """
        with self._of(name):
            if self._shelf.named(name) is not None:
                raise ImageExists(f"there is an image {name} already")
            work = self._shelf.work(name, source)
            with _gone_after(work):
                sources.flattened(name, disk, work)
                return self._kept(name, source, None, work)

    def ensure(self, name: str) -> str:
        """The SHA-256 of the image of that name or alias, which is pulled where it is only in the catalogue."""
        with self._translated(name):
            found = self._shelf.named(name)
            if found is not None:
                return found.sha256
            own = catalogue(self._shelf.directory).name_of(name)
            if own is not None and (found := self._shelf.named(own)) is not None:
                return found.sha256
        return self.pull(name).image.sha256

    def knows(self, name: str) -> bool:
        """Whether there is such an image, here or in the catalogue."""
        with self._translated(name):
            return self._shelf.named(name) is not None or catalogue(self._shelf.directory).name_of(name) is not None

    def names(self) -> Iterator[str]:
        """All names that `knows` knows."""
        yield from (one.name for one in self._shelf.all_named())
        yield from catalogue(self._shelf.directory).names()

    def list(self, *, unnamed: bool = False) -> tuple[StoredImage, ...]:
        """The images with names, by name, and those without as well."""
        with self._translated():
            disks = users(self._state)
            named = list(self._shelf.all_named())
            digests = {one.sha256 for one in named}
            rest = [digest for digest in self._shelf.digests() if unnamed and digest not in digests]
            found = [self._shelf.stored(one.sha256, one, disks.get(one.sha256, ())) for one in named]
            found += [self._shelf.stored(digest, None, disks.get(digest, ())) for digest in rest]
        return tuple(one for one in found if one is not None)

    def show(self, name: str) -> StoredImage:
        """The image of that name or alias that is here."""
        with self._translated(name):
            return self._shown(self._here(name))

    def delete(self, name: str) -> StoredImage:
        """Take the name away, and the image with it where no other name leads to it.

        Raises `ImageInUse` while disks stand on it.
        """
        with self._translated(name):
            found = self._here(name)
        with self._of(found.name), self._shelf.alone_with(found.sha256):
            shown = self._shown(found)
            others = [one for one in self._shelf.all_named() if one.sha256 == found.sha256 and one.name != found.name]
            if not others and shown.disks:
                on = ", ".join(sorted({f"{disk.instance_id} on {disk.host}" for disk in shown.disks}))
                raise ImageInUse(f"disks of instances stand on image {found.name} ({on}): delete them first")
            self._shelf.forget(found.name)
            if not others:
                self._shelf.remove(found.sha256)
            return shown

    def _here(self, name: str) -> Named:
        found = self._shelf.named(name)
        known = catalogue(self._shelf.directory)
        if found is None and (own := known.name_of(name)) is not None:
            found = self._shelf.named(own)
            if found is None:
                raise ImageNotFound(f"image {own} is in the catalogue, and not here yet: slipway image pull {own}")
        if found is None:
            raise unknown(name, known, *(one.name for one in self._shelf.all_named()))
        return found

    def _shown(self, named: Named) -> StoredImage:
        shown = self._shelf.stored(named.sha256, named, users(self._state).get(named.sha256, ()))
        if shown is None:
            raise ImageNotFound(f"image {named.name} has just been deleted")
        return shown

    # --- bringing them ----------------------------------------------------------------------------------------------

    def _brought(
        self,
        name: str,
        source: str,
        wanted: Digest | None,
        said: str | None,
        most: int,
        *,
        signed: bool = False,
        published: bool = False,
    ) -> StoredImage:
        work = self._shelf.work(name, source, str(wanted))
        digest = sources.fetched(name, source, work, wanted, most)
        with _gone_after(work):
            accepted(f"image {name}", work, said, most)
            return self._kept(name, source, digest, work, published=published, signed=signed)

    def _kept(
        self, name: str, source: str, digest: Digest | None, work: str, *, published: bool = False, signed: bool = False
    ) -> StoredImage:
        sha256 = sources.hashed(work)
        of = str(digest or Digest("sha256", sha256))
        named = Named(name, sha256, sources.size_of(work), masked_url(source), of, self._clock(), published, signed)
        self._shelf.keep(work, named)
        return self._shown(named)

    @contextmanager
    def _of(self, name: str) -> Iterator[None]:
        """Be the only one who is at what is of that name."""
        if not NAME.fullmatch(name):
            raise ImageUnacceptable(f"an image cannot be called {name!r}: letters, digits and . _ - only, at most 63")
        with self._translated(name):
            make_directories(self._shelf.directory)
            with locked(self._shelf.directory, f"name {name}"):
                yield

    @contextmanager
    def _translated(self, name: str | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"image {name} cannot be kept" if name is not None else "the images cannot be looked through"
            raise DiskError(f"{what}: {error}") from error


@contextmanager
def _gone_after(work: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(work)
