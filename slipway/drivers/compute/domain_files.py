"""The domain XML of each instance as a file: `instances/<host>/<instance id>.xml` in the state directory.

A hypervisor that has guests with a console may keep its log beside it, as `<instance id>.log`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from slipway.drivers.files import clear, file_name, locked, make_directories, put_aside, remove, replace, text_of
from slipway.errors import ComputeError

_SUFFIX = ".xml"


class Definitions:
    """The files of one host's instances; mode 0600 in directories of mode 0700, for they say how a guest is reached.

    Raises `ComputeError` when the files cannot be used.
    """

    def __init__(self, host: str, state: Path) -> None:
        self._host = host
        self._directory = state.absolute() / "instances" / file_name(host)

    def write(self, instance_id: str, xml: str) -> str:
        """Keep the XML, in place of what was there; gives the file's path."""
        path = self._path(instance_id)
        with self._translated():
            make_directories(self._directory)
            with locked(self._directory):
                clear(path)
                replace(path, xml.encode())
        return path

    def read(self, instance_id: str) -> str | None:
        """The XML that is kept, "" where a directory is in its place; None where there is none."""
        with self._translated():
            try:
                # What is no UTF-8 is no XML of ours: whoever parses it says so.
                return Path(self._path(instance_id)).read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                return None
            except IsADirectoryError:
                return ""

    def begin_console(self, instance_id: str) -> None:
        """Delete what was put aside of the console's log: what a guest wrote that ended is not the next one's."""
        with self._translated(), suppress(FileNotFoundError), locked(self._directory):
            for path in reversed(put_aside(self.console_log(instance_id))):
                remove(path)

    def delete(self, instance_id: str) -> None:
        """Delete the file, and the console's logs. Absent: nothing happens."""
        log = self.console_log(instance_id)
        with self._translated(), suppress(FileNotFoundError), locked(self._directory):
            clear(self._path(instance_id))
            remove(self._path(instance_id))
            # The oldest first, so that the next one to delete finds what a kill leaves.
            for path in (*reversed(put_aside(log)), log):
                remove(path)

    def list(self) -> Sequence[str]:
        """The ids of the instances that have a file, sorted."""
        with self._translated():
            try:
                names = os.listdir(self._directory)
            except FileNotFoundError:
                return ()
            return tuple(sorted(text_of(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX)))

    def console_log(self, instance_id: str) -> str:
        """The absolute path for the log of the instance's console."""
        return f"{self._directory}/{file_name(instance_id)}.log"

    def _path(self, instance_id: str) -> str:
        return f"{self._directory}/{file_name(instance_id)}{_SUFFIX}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ComputeError(f"{self._host}: the instances' XML files cannot be used: {error}") from error
