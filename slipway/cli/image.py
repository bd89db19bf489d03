"""`slipway image`: the images that guests start from, kept on this machine by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Images, Names
from slipway.cli.options import Age, F, Options, Size, common_options, example, orchestrator
from slipway.cli.resources import group, together
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.drivers.images.shelf import StoredImage

command = group(
    "image",
    "Images: add, list, show, delete, prune, pull, create.",
    "slipway image pull debian-13",
    "slipway image list",
    "slipway image add windows ./windows.vhdx",
    "slipway image create golden --from web-1",
    "slipway image prune --older-than 30d",
)
_name = click.argument("name", metavar="NAME", shell_complete=Images())
_max_size = click.option(
    "--max-size",
    metavar="SIZE",
    type=Size(),
    default="64GiB",
    help="What it may unpack to, and what a guest may see of it. [default: 64GiB]",
)


def _verb(name: str, *examples: str) -> Callable[[Callable[..., int | None]], click.Command]:
    def make(function: Callable[..., int | None]) -> click.Command:
        return command.command(name, epilog=example(*examples))(common_options()(click.pass_obj(function)))

    return make


_vouching: Callable[[F], F] = together(
    (
        click.option("--digest", "--sha256", "--sha512", "digest", metavar="HEX", help="Its SHA-256 or SHA-512."),
        click.option("--checksums", metavar="FILE|URL", help="SHA256SUMS, SHA512SUMS or the like, which has it."),
        click.option("--signature", metavar="FILE|URL", help="The checksums' detached signature."),
        click.option("--keyring", metavar="FILE", help="The keys of those who may have signed the checksums."),
    )
)


@_verb(
    "add",
    "slipway image add my-image ./disk.vmdk",
    "slipway image add appliance https://example.org/a.qcow2.xz --checksums https://example.org/SHA256SUMS",
)
@click.argument("name", metavar="NAME")
@click.argument("source", metavar="FILE|URL")
@_vouching
@click.option("--format", "form", metavar="FORMAT", help="qcow2, raw, vmdk, vhd, vhdx or vdi. [default: as it begins]")
@_max_size
@click.option("--replace", is_flag=True, help="Put it in the place of another one of that name.")
def add(
    options: Options,
    name: str,
    source: str,
    digest: str | None,
    checksums: str | None,
    signature: str | None,
    keyring: str | None,
    form: str | None,
    max_size: int,
    replace: bool,
) -> None:
    """Keep an image by the name NAME: qcow2, raw, VMDK, VHD, VHDX or VDI, packed by xz, gzip or zstd or not.

    It is copied, checked, and made a qcow2. What comes by http: needs --digest or --checksums. A download that broke
    off is gone on with when the same is typed again.
    """
    with orchestrator(options, new=True) as slipway:
        made = slipway.images.add(
            name,
            source,
            digest=digest,
            checksums=checksums,
            signature=signature,
            keyring=keyring,
            format=form,
            max_size=max_size,
            replace=replace,
        )
    _tell(options, made, f"image {name} is here: {_size(made)}")


@_verb("pull", "slipway image pull debian-13", "slipway image pull ubuntu --mirror http://mirror.example.org/images")
@_name
@click.option(
    "--mirror", metavar="URL", help="Has what is at https://HOST/PATH as URL/HOST/PATH; a directory may be one."
)
@_max_size
def pull(options: Options, name: str, mirror: str | None, max_size: int) -> None:
    """Fetch the catalogue's image of that name or alias, as it is published now, and check it.

    One that is here already and is what the publisher's checksums say is not fetched again. Disks that stand on an
    older one keep that.
    """
    with orchestrator(options, new=True) as slipway:
        found = slipway.images.pull(name, mirror=mirror, max_size=max_size)
    image = found.image
    signed = ", its checksums' signature is good" if image.signed else ""
    what = "is here" if found.changed else "is up to date"
    _tell(options, image, f"image {image.name} {what}: {_size(image)}{signed}")


@_verb("create", "slipway image create golden --from web-1")
@click.argument("name", metavar="NAME")
@click.option(
    "--from", "instance", metavar="INSTANCE", required=True, shell_complete=Names("instance"), help="Whose disk."
)
@click.option("--project", metavar="PROJECT", help="Whose instance it is.")
def create(options: Options, name: str, instance: str, project: str | None) -> None:
    """Make an image of the root disk of a stopped instance. It stands alone, and what is empty takes no room.

    What makes the guest this one (host keys, machine id, cloud-init's state) is in it as well: take it out before, by
    `cloud-init clean --machine-id` in the guest.
    """
    with orchestrator(options) as slipway:
        made = slipway.images.create(name, instance, project=project)
    _tell(options, made, f"image {name} is made of {instance}: {_size(made)}")


@_verb("list", "slipway image list", "slipway image list --catalogue", "slipway image list --all --output json")
@click.option("--all", "unnamed", is_flag=True, help="Also those for which only a path or a URL stands.")
@click.option("--catalogue", is_flag=True, help="Those that can be pulled, whether they are here or not.")
def list_(options: Options, unnamed: bool, catalogue: bool) -> None:
    """List the images of this machine, by name."""
    if catalogue:
        _list_catalogue(options)
        return
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        found = slipway.images.list(unnamed=unnamed)
    if options.json:
        print_json(found)
    elif not found:
        say("no images; slipway image list --catalogue shows those that can be pulled")
    else:
        _write(found)


def _list_catalogue(options: Options) -> None:
    from pathlib import Path

    from slipway.cli.output import print_json, table, write
    from slipway.drivers.images.catalogue import catalogue

    found = catalogue(Path(options.directory).absolute() / "images")
    if options.json:
        print_json([{"name": name, "aliases": one.aliases, "url": one.url} for name, one in found.images.items()])
        return
    rows = [(name, ", ".join(one.aliases), one.url) for name, one in found.images.items()]
    write(table(("NAME", "ALIASES", "URL"), rows))


@_verb("show", "slipway image show debian-13")
@_name
def show(options: Options, name: str) -> None:
    """Show an image, where it comes from, and the disks that stand on it."""
    from slipway.cli.output import labelled, print_json, size_text, time_text, write

    with orchestrator(options) as slipway:
        found = slipway.images.show(name)
    if options.json:
        print_json(found)
        return
    disks = [
        f"disk {disk.slot} of {disk.instance_id} on {disk.host}"
        + (f", snapshot {disk.snapshot}" if disk.snapshot else "")
        for disk in found.disks
    ]
    facts = [
        ("name", found.name or ""),
        ("sha256", found.sha256),
        ("format", found.format),
        ("size", size_text(found.size)),
        ("takes", size_text(found.taken)),
        ("from", found.source or ""),
        ("was", found.digest or ""),
        ("signed", "yes" if found.signed else "no"),
        ("added at", time_text(found.added_at) if found.added_at else ""),
        ("used at", time_text(found.used_at)),
        ("below", "\n".join(disks) or "no disk"),
    ]
    write(labelled(facts))


@_verb("delete", "slipway image delete golden")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=Images())
def delete(options: Options, names: Sequence[str]) -> None:
    """Delete images. One on which a disk stands, or its snapshot, is not deleted."""
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        gone = [slipway.images.delete(name) for name in names]
    if options.json:
        print_json(gone)
    else:
        for image in gone:
            say(f"image {image.name} is deleted")


@_verb(
    "prune",
    "slipway image prune --older-than 30d",
    "slipway image prune --keep-size 20GiB --dry-run",
    "slipway image prune --older-than 0s --added",
)
@click.option("--older-than", metavar="DURATION", type=Age(), help="Those that nobody has used for so long: 30d, 12h.")
@click.option("--keep-size", metavar="SIZE", type=Size(), help="The longest unused, until all take so much at most.")
@click.option("--added", is_flag=True, help="Also those that were added by hand or made of an instance.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
def prune(options: Options, older_than: float | None, keep_size: int | None, added: bool, dry_run: bool) -> None:
    """Delete images that are not used. None on which a disk stands goes, be its guest stopped or of another stack.

    Nor does one that was added by hand, which can be fetched from nowhere, without --added.
    """
    from datetime import timedelta

    from slipway.cli.output import print_json, size_text

    if older_than is None and keep_size is None:
        raise click.UsageError("say which: --older-than 30d, --keep-size 20GiB, or both")
    age = None if older_than is None else timedelta(seconds=older_than)
    with orchestrator(options) as slipway:
        gone = slipway.images.prune(unused_for=age, max_size=keep_size, added=added, dry_run=dry_run)
    if options.json:
        print_json(gone)
        return
    if gone:
        _write(gone)
    freed = sum({one.sha256: one.taken for one in gone}.values())
    say(f"{size_text(freed)} {'would be' if dry_run else 'were'} freed")


def _tell(options: Options, image: StoredImage, text: str) -> None:
    from slipway.cli.output import print_json

    if options.json:
        print_json(image)
    else:
        say(text)


def _size(image: StoredImage) -> str:
    from slipway.cli.output import size_text

    return f"{size_text(image.size)}, of which {size_text(image.taken)} are on disk"


def _write(found: Sequence[StoredImage]) -> None:
    from slipway.cli.output import size_text, table, time_text, write

    rows = [
        (
            one.name or f"({one.sha256[:12]})",
            one.format,
            size_text(one.size),
            size_text(one.taken),
            str(len(one.disks)),
            time_text(one.used_at),
            one.source or "",
        )
        for one in found
    ]
    write(table(("NAME", "FORMAT", "SIZE>", "ON DISK>", "DISKS>", "USED AT", "FROM"), rows))
