"""One network's dnsmasq, or its relay, with a supervisor: started, told of a new configuration, looked at, ended.

No process is known by its id alone: before a signal its start time and its command line, which names our directory, are
looked at, through a descriptor of the process (pidfd) that no successor with the same id can take.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from msgspec import Struct

from slipway.drivers import programs
from slipway.drivers.deadline import left
from slipway.drivers.files import clear, replace
from slipway.drivers.wiring.linuxbridge import namespace
from slipway.drivers.wiring.linuxbridge.dhcp import supervisor
from slipway.errors import WiringError

_PATIENCE = 10.0
"""Seconds for a server to start or end; it takes some milliseconds."""


_SUPERVISOR = "/supervisor.py"


class Status(Struct, frozen=True):
    """What the supervisor wrote last: ids and start times, the configuration's version, and dnsmasq's words.

    The server's id is 0 when it did not start.
    """

    supervisor: tuple[int, int]
    server: tuple[int, int]
    version: tuple[int, int]
    words: str


class ServerProcess:
    """The server whose files are in `directory`. Whoever changes something has locked the directory."""

    def __init__(self, directory: str, netns: str, command: Sequence[str] = (), outside: str | None = None) -> None:
        """`command`: what is run in place of dnsmasq, which keeps no leases; `outside`: the host's namespace, of which
        it gets a descriptor as its first argument."""
        self._directory = directory
        self._netns = netns
        self._other = command
        self._outside = outside
        # In the command lines of both, whichever version of Slipway started them.
        self._mark = f"--conf-file={self._path(supervisor.CONFIGURATION)}"

    @property
    def _called(self) -> str:
        return os.path.basename(self._other[0]) if self._other else "dnsmasq"

    @property
    def leases(self) -> str:
        """The path of dnsmasq's lease file."""
        return self._path(supervisor.LEASES)

    def configured(self) -> Sequence[str]:
        """The lines of the configuration that was applied last."""
        return (_read(self._path(supervisor.CONFIGURATION)) or "").splitlines()

    def forget(self, addresses: Sequence[str]) -> None:
        """Drop the leases of the addresses at the next start, which `apply` then makes."""
        if addresses:
            before = _read(self._path(supervisor.FORGET)) or ""
            replace(self._path(supervisor.FORGET), "\n".join([*before.split(), *addresses]).encode())

    def apply(self, text: str, *, anew: bool = False) -> None:
        """Have a server run with this configuration. Raises `WiringError` with dnsmasq's words.

        `anew`: its link is another one than before, which a server that runs does not know.
        """
        status = None if anew else self._status()
        if status is not None and self._is_up_to_date(status, text):
            return
        # Written even if it was the same: the answer to this start is told from an older one by the file's version.
        replace(self._path(supervisor.CONFIGURATION), text.encode())
        if status is not None:
            self._recover_leases(status.server[0])
        if status is not None and self._lives(status.supervisor):
            self._signal(status.supervisor, signal.SIGHUP)
        else:
            self.stop()
            self._start()
        self._wait()

    def keeps_leases(self) -> bool:
        """Whether the file is there that the server writes its leases to."""
        return bool(self._other) or os.path.isfile(self.leases)

    def _recover_leases(self, server: int) -> None:
        """Write the leases again where somebody has deleted their file: the server has it open while it lives."""
        if self.keeps_leases():
            return
        clear(self.leases)
        with suppress(OSError):
            for name in os.listdir(f"/proc/{server}/fd"):
                if os.readlink(f"/proc/{server}/fd/{name}") == f"{self.leases} (deleted)":
                    with open(f"/proc/{server}/fd/{name}", "rb") as file:
                        replace(self.leases, file.read())
                    return

    def works_by(self, text: str) -> bool:
        """Whether the server that lives read this configuration when it was started."""
        status = self._status()
        return status is not None and self._is_up_to_date(status, text)

    def lives(self) -> bool:
        """Whether there are a server and a supervisor that would start it again."""
        status = self._status()
        return status is not None and self._run(status)

    def stop(self) -> None:
        """End the supervisor and with it the server, or whichever of them there is."""
        # Looked for: a supervisor that was killed may have left a server of which it had not written. Again, because
        # one may just have begun.
        while found := self._pids():
            for pid in found:
                with suppress(ProcessLookupError), _opened(pid) as fd:
                    if self._is_ours(pid):
                        _end(fd)

    def _start(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path(supervisor.STATUS))
        python = (sys.executable or "python3", "-I", "-S", supervisor.__file__, self._directory)
        with self._command() as (server, given), namespace.inside(self._netns):
            started = subprocess.Popen(
                [*python, *server, self._mark],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=given,
                cwd="/",
                start_new_session=True,
            )
        # It goes on in the background at once. Waiting with a timeout, Python would look only now and then.
        with _opened(started.pid) as fd:
            if not _has_ended(fd):
                started.kill()
        if (code := started.wait()) != 0:
            raise WiringError(f"{python[0]} cannot supervise {self._called}: it ended with {code}")

    @contextmanager
    def _command(self) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
        """What the supervisor is to run, and the descriptors that it needs for that."""
        if not self._other:
            clear(self.leases)
            os.close(os.open(self.leases, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            server = ("dnsmasq", "--keep-in-foreground", "--log-facility=-", "--pid-file")
            yield (*server, f"--dhcp-leasefile={self.leases}"), ()
            return
        with namespace.inside(self._outside):
            outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            program, *arguments = self._other
            yield (sys.executable or "python3", "-I", "-S", program, str(outside), *arguments), (outside,)
        finally:
            os.close(outside)

    def _wait(self) -> None:
        """Until the server runs with the configuration as it is now."""
        version = supervisor.version(self._directory)
        until = time.monotonic() + left(_PATIENCE)
        while time.monotonic() < until:
            status = self._status()
            if status is not None and status.version == version and not self._is_to_forget():
                if status.server[0] == 0:
                    raise WiringError(f"{self._called} does not start: {_what_matters(status.words)}")
                if self._lives(status.server):
                    return
            time.sleep(0.001)
        raise WiringError(f"{self._called} did not start within {_PATIENCE:g} s")

    def _status(self) -> Status | None:
        said = _read(self._path(supervisor.STATUS))
        if said is None:
            return None
        first, _, words = said.partition("\n")
        a, b, c, d, e, f = map(int, first.split())
        return Status((a, b), (c, d), (e, f), words)

    def _is_up_to_date(self, status: Status, text: str) -> bool:
        if not self._run(status) or self._is_to_forget() or not self.keeps_leases():
            return False
        told = _read(self._path(supervisor.CONFIGURATION)) == text
        return told and status.version == supervisor.version(self._directory)

    def _run(self, status: Status) -> bool:
        return self._lives(status.supervisor) and self._lives(status.server)

    def _is_to_forget(self) -> bool:
        return os.path.exists(self._path(supervisor.FORGET))

    def _lives(self, process: tuple[int, int]) -> bool:
        pid, began = process
        with suppress(OSError):
            return pid != 0 and supervisor.start_time(pid) == began and self._is_ours(pid)
        return False

    def _pids(self) -> list[int]:
        """The supervisor first, or it would start another server."""
        found = [int(name) for name in os.listdir("/proc") if name.isdecimal() and self._is_ours(int(name))]
        return sorted(found, key=lambda pid: not any(word.endswith(_SUPERVISOR) for word in _command(pid)))

    def _is_ours(self, pid: int) -> bool:
        """Not so when it has ended: a process that was not waited for yet has no command line."""
        return self._mark in _command(pid)

    def _signal(self, process: tuple[int, int], number: signal.Signals) -> None:
        with suppress(ProcessLookupError), _opened(process[0]) as fd:
            if self._lives(process):
                signal.pidfd_send_signal(fd, number)

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


def refusal(text: str) -> str | None:
    """What dnsmasq finds wrong with this configuration, in its words; None: it takes it.

    Raises `WiringError` where it is not installed or cannot be run.
    """
    try:
        command = ["dnsmasq", "--test", "--conf-file=-"]
        done = programs.run(command, timeout=_PATIENCE, input=text, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise WiringError("dnsmasq is not installed; install dnsmasq-base") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise WiringError(f"dnsmasq cannot be run: {error}") from error
    return _what_matters(done.stderr, text) if done.returncode != 0 else None


def _command(pid: int) -> tuple[str, ...]:
    """The process's command line; empty when it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return tuple(os.fsdecode(part) for part in file.read().split(b"\0")[:-1])
    except (FileNotFoundError, ProcessLookupError):
        return ()


@contextmanager
def _opened(pid: int) -> Iterator[int]:
    """A descriptor of the process. Raises `ProcessLookupError`."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _has_ended(fd: int) -> bool:
    """Whether the process of the descriptor ends in time: then it is readable."""
    return bool(select.select([fd], [], [], left(_PATIENCE))[0])


def _end(fd: int) -> None:
    """Tell the process to end, and make it. Raises `ProcessLookupError` when it has ended already."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        signal.pidfd_send_signal(fd, number)
        if _has_ended(fd):
            return
    raise WiringError("a DHCP server's process does not end, though killed")


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _what_matters(said: str, text: str = "") -> str:
    """dnsmasq's complaint in one line, with the line of the configuration that it names."""
    lines = [line.removeprefix("dnsmasq: ").strip() for line in said.splitlines() if line.strip()]
    words = "; ".join(lines) or "it says nothing"
    number = words.partition(" at line ")[2].split(" ")[0]
    if text and number.isdecimal():
        return f"{words}: {text.splitlines()[int(number) - 1]}"
    return words
