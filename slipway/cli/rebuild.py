"""`slipway rebuild`: another root disk, of an image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example
from slipway.cli.selecting import Chosen, selectors

if TYPE_CHECKING:
    from slipway.model.request import Image


@click.command(
    "rebuild",
    epilog=example(
        "slipway rebuild web-1 --yes",
        "slipway rebuild web-1 --image ./debian-13.qcow2 --yes",
        "slipway rebuild --name 'web-*' --image debian-13 --user-data web.yaml --yes",
    ),
)
@power.names
@power.project
@click.option(
    "--image",
    metavar="IMAGE",
    help="An image that instances on record have, image:NAME of this machine's, or a file or URL. [default: its own]",
)
@click.option("--format", "form", type=click.Choice(("qcow2", "raw")), help="The format of that file.")
@click.option("--sha256", metavar="DIGEST", help="The SHA-256 of that file, without which no URL is fetched.")
@click.option(
    "--user-data",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="What cloud-init is told in place of what it was told. [default: the same]",
)
@selectors(changes=True)
@common_options(selects=True)
@click.pass_obj
def command(
    options: Options, chosen: Chosen, image: str | None, form: str | None, sha256: str | None, user_data: str | None
) -> int:
    """Make the root disk of the instances called NAME (or with this id) anew: what is on it is lost.

    Name, id, host, ports, addresses, volumes and other disks stay. A guest that runs is stopped and started again;
    where it does not come up, or shows no sign of its `wait_for`, it gets back what it had.
    """
    file = image is not None and ("/" in image or image.startswith("image:"))
    if (form or sha256) and not file:
        raise click.UsageError("--format and --sha256 go with an --image that is a file or a URL, such as ./new.qcow2")
    made = _of_file(image, form, sha256) if image is not None and file else None
    data = None if user_data is None else _text(user_data)
    said = (
        *(("--image", made.path or "" if made else image) if image else ()),
        *(("--format", form) if form else ()),
        *(("--sha256", sha256) if sha256 else ()),
        *(("--user-data", user_data) if user_data else ()),
    )
    return power.change_all(
        "rebuild",
        options,
        chosen,
        by=lambda slipway: partial(
            slipway.changes.rebuild,
            image=made or (slipway.changes.image(image) if image else None),
            user_data=data,
            stops=True,
        ),
        said=said,
        shuts_down=True,
        loses="what is on their root disks is lost",
    )


def _of_file(said: str, form: str | None, sha256: str | None) -> Image:
    """An image called as its file is."""
    from pathlib import Path

    from slipway.checks import check
    from slipway.model.request import NAMED_IMAGE, Image

    path = said if "://" in said or said.startswith(NAMED_IMAGE) else str(Path(said).absolute())
    name = said.removeprefix(NAMED_IMAGE) if said.startswith(NAMED_IMAGE) else Path(said).stem
    image = Image(name, path=path, format=form, sha256=sha256)
    check(image, Image, "--image")
    return image


def _text(path: str) -> str:
    from pathlib import Path

    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--user-data {path} cannot be read as text: {error}") from error
