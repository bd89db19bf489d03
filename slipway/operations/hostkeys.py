"""By which keys the SSH servers of guests are known: told by the guests themselves, kept in `known_hosts`.

The file is one of OpenSSH's, in which a guest is called by its instance's id: an address is another guest's one day.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from slipway.drivers.files import locked, make_directories, put_aside, replace

_KEY = re.compile(
    r"(?<![A-Za-z0-9-])((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+) ([A-Za-z0-9+/]{32,}={0,3})(?![A-Za-z0-9+/=])"
)
_BLOCK = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
"""What cloud-init writes to the console when a guest is started for the first time."""


def path_of(state: Path) -> Path:
    """Where they are kept."""
    return state.absolute() / "known_hosts"


def in_log(path: str | None) -> tuple[str, ...]:
    """The keys that cloud-init has written to a console's log last; virtlogd may have put that aside."""
    if path is None:
        return ()
    for log in (path, *put_aside(path)):
        with suppress(FileNotFoundError):
            text = Path(log).read_bytes().decode("ascii", errors="replace")
            if blocks := _BLOCK.findall(text):
                return legible(blocks[-1].splitlines())
    return ()


def legible(lines: Iterable[str]) -> tuple[str, ...]:
    """The keys in these lines, each as `TYPE BASE64`; a line of the console may begin with who wrote it."""
    return tuple(dict.fromkeys(key for line in lines for key in _keys(line)))


def _keys(line: str) -> Iterator[str]:
    for found in _KEY.finditer(line):
        kind, text = found.groups()
        # In its first bytes a key says its own type (RFC 4253, 6.6).
        with suppress(ValueError):
            begins = len(kind).to_bytes(4, "big") + kind.encode()
            if b64decode(text, validate=True).startswith(begins):
                yield f"{kind} {text}"


def kept(state: Path, instance_id: str) -> tuple[str, ...]:
    """Those that are kept of an instance's guest."""
    return tuple(key for name, _, key in _entries(state) if name == instance_id)


def keep(state: Path, instance_id: str, keys: tuple[str, ...]) -> None:
    """Have the guest be known by these keys, and no others."""
    if kept(state, instance_id) == keys:
        return
    make_directories(state.absolute())
    with locked(state.absolute(), "known_hosts"):
        others = [f"{name} {key}" for name, _, key in _entries(state) if name != instance_id]
        lines = [*others, *(f"{instance_id} {key}" for key in keys)]
        replace(str(path_of(state)), "".join(f"{line}\n" for line in lines).encode())


def _entries(state: Path) -> list[tuple[str, str, str]]:
    try:
        lines = path_of(state).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.partition(" ") for line in lines if line]
