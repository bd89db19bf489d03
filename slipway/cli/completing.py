"""What the shell offers for a name that is being typed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.cli.options import Options, default_state

if TYPE_CHECKING:
    import click


class Names:
    """Offers the names of one kind that are on record where the command would look; see `click`'s `shell_complete`."""

    def __init__(self, kind: str) -> None:
        """`kind`: "instance", "run", "host", "stack" or "project"."""
        self._kind = kind

    def __call__(self, ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        """Those that begin so and were not typed already; none for a database that is no file."""
        from slipway.states.beginnings import beginning

        options = ctx.ensure_object(Options)
        db = options.db or os.environ.get("SLIPWAY_DB")
        if db and not db.startswith("sqlite:///"):
            return []
        state = options.state or os.environ.get("SLIPWAY_STATE") or default_state()
        path = Path(db.removeprefix("sqlite:///")) if db else Path(state, "slipway.db")
        typed = ctx.params.get("names") or ()
        return [name for name in beginning(path, self._kind, incomplete) if name not in typed]


class Images:
    """Offers the names of the images that are here, and of those that can be pulled."""

    def __call__(self, ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        """Those that begin so and were not typed already."""
        from slipway.drivers.images.library import ImageLibrary

        options = ctx.ensure_object(Options)
        state = options.state or os.environ.get("SLIPWAY_STATE") or default_state()
        typed = ctx.params.get("names") or ()
        names = dict.fromkeys(ImageLibrary(Path(state)).names())
        return [name for name in names if name.startswith(incomplete) and name not in typed]
