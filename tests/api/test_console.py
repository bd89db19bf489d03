"""The console's log: its end, what comes after that, and what a terminal is spared."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.cli.console import readable
from slipway.operations.console import read_log


def read(path: Path, lines: int | None) -> bytes:
    return b"".join(read_log(str(path), lines, None))


@pytest.mark.parametrize("length", [1, 40, 70_000])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_the_last_lines(tmp_path: Path, length: int, end: bytes) -> None:
    log = tmp_path / "log"
    lines = [b"%d" % number * length for number in range(5)]
    log.write_bytes(b"\r\n".join(lines) + end)
    for count in range(7):
        wanted = b"\r\n".join(lines[-count:] if count else []) + (end if count else b"")
        assert read(log, count) == wanted
    assert read(log, None) == log.read_bytes()


def test_an_empty_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    assert read(log, 3) == read(log, None) == b""


def test_what_comes_later_is_read_to_its_end_and_a_new_log_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n")
    later = [(b"one\ntwo\n", True), (b"new\n", True), (b"new\nlast\n", False)]

    def wait() -> bool:
        text, more = later.pop(0)
        log.write_bytes(text)
        return more

    assert list(read_log(str(log), None, wait)) == [b"one\n", b"two\n", b"new\n", b"last\n"]


def test_a_log_that_virtlogd_puts_aside_is_read_to_its_end_and_then_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n")
    waits = 0

    def wait() -> bool:
        nonlocal waits
        waits += 1
        if waits == 1:
            with open(log, "ab") as file:
                file.write(b"two\n")
            log.rename(tmp_path / "log.0")
        else:
            log.write_bytes(b"three, which is longer\n")
        return waits == 1

    assert b"".join(read_log(str(log), None, wait)) == b"one\ntwo\nthree, which is longer\n"


def test_a_terminal_is_spared() -> None:
    hostile = "\x1bc\x1b[?7l\x1b[2J\x1b]0;a title\x07\x1b[31mred\x1b[0m\tü\r\n\x07\x9b2J\x1b]52;c;YQ==\x1b\\ end\x1b("
    assert readable(hostile) == "red\tü\n2J end("
