"""The images of this machine, by their names, and how one is made of an instance's disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from slipway import errors
from slipway.drivers.images.catalogue import Catalogue, catalogue
from slipway.drivers.images.download import LARGEST
from slipway.drivers.images.library import ImageLibrary, Pulled
from slipway.drivers.images.pruning import prune
from slipway.drivers.images.shelf import StoredImage
from slipway.drivers.images.sources import Vouched
from slipway.model.machine import Disk, DiskRole
from slipway.states.details import Details, details_of
from slipway.states.effects import results
from slipway.states.machines import State, VmState
from slipway.states.store import Store


class Images:
    """The named images of this machine's cache; see `docs/images.md`.

    Raises `ImageNotFound`, `ImageExists`, `ImageInUse`, `ImageUnacceptable` for what cannot be used, and `DiskError`
    where the cache cannot be. Nothing is half there then.
    """

    def __init__(self, store: Store, state: Path, clock: Callable[[], datetime]) -> None:
        self._store, self._state, self._clock = store, state, clock
        self._library = ImageLibrary(state, clock=clock)

    def add(
        self,
        name: str,
        source: str,
        *,
        digest: str | None = None,
        checksums: str | None = None,
        signature: str | None = None,
        keyring: str | None = None,
        format: str | None = None,  # noqa: A002 - as everywhere
        max_size: int = LARGEST,
        replace: bool = False,
    ) -> StoredImage:
        """Have an image of that name, from a file or a URL of qcow2, raw, VMDK, VHD, VHDX or VDI, packed by xz, gzip or
        zstd or not; it is checked, and becomes a qcow2.

        `digest`: its SHA-256 or SHA-512; `checksums`: a file or URL of checksums that has one, signed with a key of the
        `keyring` where that is named (in itself, or by a detached `signature`). What comes by http: needs one of them.
        `max_size`: the bytes that it may unpack to, and that a guest may see. `replace`: in place of another one.
        """
        if digest and checksums:
            raise errors.InvalidRequest(("digest and checksums exclude each other",), f"image {name}")
        if (signature or keyring) and not (checksums and keyring):
            raise errors.InvalidRequest(("a signature needs checksums and a keyring",), f"image {name}")
        vouched = Vouched(digest, checksums, signature, keyring)
        return self._library.add(name, source, vouched=vouched, form=format, most=max_size, replace=replace)

    def pull(self, name: str, *, mirror: str | None = None, max_size: int = LARGEST) -> Pulled:
        """Have the catalogue's image of that name or alias as it is published now; from the `mirror`, if one is named.

        What is here and is what the checksums say is not fetched again.
        """
        return self._library.pull(name, mirror=mirror, most=max_size)

    def create(self, name: str, instance: str, *, project: str | None = None) -> StoredImage:
        """Have an image of that name that is what is on the root disk of a stopped instance, by its name or id.

        It stands alone, and what is empty takes no room. Raises `InstanceNotFound`, and `UnexpectedState` for one that
        is not stopped, or was started meanwhile.
        """
        found = self._stopped(instance, project)
        roots = [disk for disk in results(found.effects, "disk", Disk) if disk.role is DiskRole.ROOT]
        if not roots:
            raise errors.DiskError(f"instance {found.instance.name} has no root disk")
        made = self._library.create(name, roots[0].path, f"root disk of instance {found.instance.name}")
        try:
            again = self._stopped(found.instance.id, None)
        except errors.SlipwayError:
            self._library.delete(name)
            raise
        if again.history != found.history:
            self._library.delete(name)
            raise errors.UnexpectedState(
                f"instance {found.instance.name} was worked on while its disk was copied: try again"
            )
        return made

    def _stopped(self, name: str, project: str | None) -> Details:
        with self._store.read() as tx:
            found = details_of(tx, name, project)
        state = State(found.instance.vm_state, found.instance.task_state)
        if state.vm_state != VmState.STOPPED or not state.at_rest:
            raise errors.UnexpectedState(
                f"instance {found.instance.name} is {found.instance.vm_state}: an image is made of a stopped one's "
                f"disk; slipway stop {found.instance.name}"
            )
        return found

    def list(self, *, unnamed: bool = False) -> tuple[StoredImage, ...]:
        """The images with names, and after them those that only a path or a URL in a run file stands for."""
        return self._library.list(unnamed=unnamed)

    def show(self, name: str) -> StoredImage:
        """The image of that name or alias that is here."""
        return self._library.show(name)

    def catalogue(self) -> Catalogue:
        """The images that can be pulled. Raises `InvalidFile`."""
        return catalogue(self._state / "images")

    def delete(self, name: str) -> StoredImage:
        """Take the name away, and the image where no other name leads to it; refused while a disk stands on it."""
        return self._library.delete(name)

    def prune(
        self,
        *,
        unused_for: timedelta | None = None,
        max_size: int | None = None,
        added: bool = False,
        dry_run: bool = False,
    ) -> tuple[StoredImage, ...]:
        """Delete the images that nobody has used for so long, then the longest unused until all take `max_size` bytes
        at most; those that went, or would.

        None goes on which a disk stands, of whichever guest, and without `added` none that was added by hand.
        """
        now = self._clock()
        return prune(self._state, now=now, unused_for=unused_for, most=max_size, added=added, dry_run=dry_run)
