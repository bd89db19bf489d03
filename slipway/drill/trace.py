"""What is written in a run so that it outlives a killed process: the trace of what happens, and the log."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from slipway.model.record import Event
from slipway.testing import Call, Fault

Line = tuple[float, str, str]
"""Of a trace: milliseconds since its start, what kind of thing happened, and what."""

_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Line)


class Paper:
    """A file to which all processes of a run append; what one of them writes is there once it was kept."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._waiting: list[str] = []

    def write(self, text: str) -> None:
        """Add a text."""
        self._waiting.append(text)

    def keep(self) -> None:
        """Have everything in the file, in one write: before this process is killed or forked, or another one reads."""
        if self._waiting:
            os.write(self._fd, "".join(self._waiting).encode(errors="replace"))
            self._waiting.clear()

    def read(self, start: int = 0) -> bytes:
        """What there is from this byte on."""
        self.keep()
        return os.pread(self._fd, os.fstat(self._fd).st_size, start)

    def clear(self, text: str = "") -> None:
        """Begin anew, with this text."""
        self._waiting.clear()
        os.ftruncate(self._fd, 0)
        self.write(text)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Trace:
    """What happened in a run, line by line."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self.clear()

    def clear(self, lines: Sequence[Line] = ()) -> None:
        """Begin anew, or go on after these lines."""
        self._paper.clear(_ENCODER.encode_lines(lines).decode())
        self._began = time.monotonic() - (lines[-1][0] / 1000 if lines else 0)
        self._read, self._lines = 0, list[Line]()

    def write(self, kind: str, text: str) -> None:
        """Add a line."""
        line = (round((time.monotonic() - self._began) * 1000, 2), kind, text)
        self._paper.write(f"{_ENCODER.encode(line).decode()}\n")

    def call(self, call: Call) -> None:
        """A fault point was reached."""
        self.write(
            "commit" if not call.family else "call", f"{call.name}:{call.nth}:{call.family}:{call.in_transaction:d}"
        )

    def fault(self, fault: Fault) -> None:
        """A fault goes off."""
        self.write("fault", str(fault))

    def event(self, event: Event) -> None:
        """Something was announced."""
        where = f" {event.step}[{event.slot}]" if event.step else ""
        host = f" on {event.host}" if event.host else ""
        more = f": {event.message}" if event.message else ""
        self.write("event", f"{event.type}{where} {event.name}{host}{more}")

    @property
    def lines(self) -> list[Line]:
        """All of it."""
        more = self._paper.read(self._read)
        self._read += len(more)
        self._lines += _DECODER.decode_lines(more)
        return self._lines.copy()
