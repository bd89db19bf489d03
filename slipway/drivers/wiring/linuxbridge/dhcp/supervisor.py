"""Keep one dnsmasq running: `python -I -S dhcp_supervisor.py DIRECTORY COMMAND...`, in the server's namespace.

Slipway has no daemon, so a program of its own restarts a server that died. It imports little, for there is one for each
network that has a server. SIGTERM: end, the server first. SIGHUP: start the server anew.

In the directory: `dnsmasq.conf`; `leases`; `forget`, if there are leases to drop before the next start, an address a
line; and `status`, which this program writes whenever a server has started or failed: a line with the ids and start
times of its own and of dnsmasq (0 0: it failed) and the inode and time of the configuration, and what dnsmasq wrote.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence

CONFIGURATION, LEASES, FORGET, STATUS = "dnsmasq.conf", "leases", "forget", "status"

_READY = b"started, version"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_GRACE = 2.0
"""Seconds that dnsmasq has to end when it is told to."""

_LIVED = 10.0
"""Seconds after which a server that dies is started again at once."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 30.0


def start_time(pid: int) -> int:
    """When the process began, in ticks since the machine did. Raises `OSError` when there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # Its second field is a name in parentheses, in which anything may be.
        return int(file.read().rpartition(b")")[2].split()[19])


def version(directory: str) -> tuple[int, int]:
    """What tells this configuration from the one before."""
    found = os.stat(f"{directory}/{CONFIGURATION}")
    return found.st_ino, found.st_mtime_ns


class Supervisor:
    """One server, and when it is to be started next."""

    def __init__(self, directory: str, command: Sequence[str]) -> None:
        self._directory = directory
        self._command = list(command)
        self._pid = self._log = 0
        self._said = b""
        self._version = (0, 0)
        self._due = self._began = time.monotonic()
        self._wait = 0.0

    def run(self) -> None:
        """Until SIGTERM, or an error such as a full disk; the server ends with it."""
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        try:
            while signal.SIGTERM not in self._step(woken):
                pass
        finally:
            self._stop()

    def _step(self, woken: int) -> bytes:
        """Start the server if it is due, and wait until something happens; the signals that came."""
        if not self._pid and time.monotonic() >= self._due:
            self._start()
        files = [woken, self._log] if self._pid else [woken]
        patience = None if self._pid else max(0.0, self._due - time.monotonic())
        ready = select.select(files, [], [], patience)[0]
        if woken in ready:
            self._stop()
            self._due, self._wait = time.monotonic(), 0.0
            return os.read(woken, 512)
        if ready:
            self._listen()
        return b""

    def _start(self) -> None:
        forget(self._directory)
        self._version = version(self._directory)
        self._log, theirs = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, theirs, 1), (os.POSIX_SPAWN_DUP2, theirs, 2)]
        self._pid = os.posix_spawnp(
            self._command[0], self._command, _ENVIRONMENT, file_actions=actions, setsigdef=[signal.SIGPIPE]
        )
        os.close(theirs)
        self._said, self._began = b"", time.monotonic()

    def _listen(self) -> None:
        """Hear what dnsmasq writes: that it is ready, errors, or by its end that it has died."""
        said = os.read(self._log, 4096)
        was_ready = _READY in self._said
        # A guest can make it write without end.
        self._said = (self._said + said)[:4096]
        if not said:
            self._reap()
            if not was_ready:
                self._report(0)
            lived = time.monotonic() - self._began > _LIVED
            self._due = time.monotonic() + (0.0 if lived else self._wait)
            self._wait = _FIRST_WAIT if lived else min(_LONGEST_WAIT, self._wait * 2 or _FIRST_WAIT)
        elif not was_ready and _READY in self._said:
            self._report(self._pid)

    def _stop(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            until = time.monotonic() + _GRACE
            while select.select([self._log], [], [], max(0.0, until - time.monotonic()))[0]:
                if not os.read(self._log, 4096):
                    break
            else:
                os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        os.close(self._log)
        os.waitpid(self._pid, 0)
        self._pid = self._log = 0

    def _report(self, server: int) -> None:
        numbers = (os.getpid(), start_time(os.getpid()), server, start_time(server) if server else 0, *self._version)
        replace(f"{self._directory}/{STATUS}", f"{' '.join(map(str, numbers))}\n".encode() + self._said)


def forget(directory: str) -> None:
    """Drop the leases that are to be dropped, which can be done only while no server has them in its memory."""
    try:
        with open(f"{directory}/{FORGET}", "rb") as file:
            addresses = set(file.read().split())
    except FileNotFoundError:
        return
    try:
        with open(f"{directory}/{LEASES}", "rb") as file:
            # time, MAC or IAID, address, name, client; or "duid" and the server's own.
            kept = [line for line in file if addresses.isdisjoint(line.split()[2:3])]
        replace(f"{directory}/{LEASES}", b"".join(kept))
    except FileNotFoundError:
        # Somebody has deleted it: with it they have gone.
        pass
    os.unlink(f"{directory}/{FORGET}")


def replace(path: str, content: bytes) -> None:
    """Write the file in one step."""
    with open(f"{path}.new", "wb") as file:
        file.write(content)
    os.rename(f"{path}.new", path)


def main() -> None:
    """Go on in the background: who started this need not wait for its end."""
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    Supervisor(sys.argv[1], sys.argv[2:]).run()


if __name__ == "__main__":
    main()
