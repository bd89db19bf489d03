"""The logs of `--verbose`: structured, on standard error, those of the standard library's loggers too."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from slipway.cli.say import fit, shown
from slipway.texts import harmless, masked

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo


@contextmanager
def logging_to_stderr(*, verbose: bool, as_json: bool) -> Iterator[None]:
    """Send `slipway`'s logs to standard error while they are asked for; nothing goes there unasked.

    Without any handler Python would write warnings there by itself.
    """
    root, ours = logging.getLogger(), logging.getLogger("slipway")
    handler = _handler(as_json=as_json) if verbose else logging.NullHandler()
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG if verbose else level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


def _handler(*, as_json: bool) -> logging.Handler:
    import structlog

    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: Any
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    else:
        # The width of events, of which the name differs between versions.
        renderer = structlog.dev.ConsoleRenderer(24, colors=colours, exception_formatter=_write_traceback)
    last = [_tracebacks()] if as_json else []
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.ExtraAdder(),
                _without_blanks,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, _fit, renderer],
        )
    )
    return handler


def _without_blanks(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Leave out what a line does not have: a build's announcements bear no step, for one."""
    return {name: value for name, value in event.items() if value != ""}


def _fit(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Without secrets and control characters, whoever the texts are from."""
    return {
        name: shown(value) if isinstance(value, str) else value if name == "exc_info" else fit(value)
        for name, value in event.items()
    }


def _tracebacks() -> Any:
    """Without the values of variables: user data and passwords are among them."""
    from structlog.processors import ExceptionRenderer
    from structlog.tracebacks import ExceptionDictTransformer

    return ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    text = "".join(traceback.format_exception(*exc_info))
    stream.write(harmless(masked(f"\n{text}")).rstrip("\n"))
