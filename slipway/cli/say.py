"""What is said to people: the one way for a text from anywhere to a terminal, without control characters or secrets."""

from __future__ import annotations

from typing import Any

import click

from slipway.texts import encodable, harmless, masked, one_line


def say(text: str, *, err: bool = False) -> None:
    """Write lines to standard output, or to standard error."""
    click.echo(harmless(masked(text)), err=err)


def shown(text: str) -> str:
    """A text from elsewhere as a part of a line of ours."""
    return one_line(masked(text))


def fit(value: Any) -> Any:
    """A value of JSON with each of its texts fit to be kept: without secrets, and able to be written as UTF-8."""
    match value:
        case str():
            return encodable(masked(value))
        case dict():
            return {fit(key): fit(one) for key, one in value.items()}
        case list() | tuple():
            return [fit(one) for one in value]
    return value
