"""Wait until something is seen: a server, a guest, a file, the end of another run."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from typing import Annotated, TypeAlias

import msgspec

from slipway.checks.urls import url_mistake
from slipway.errors import (
    CommandFailed,
    InvalidArguments,
    RunFailed,
    RunNotFound,
    ServerUnavailable,
    StepTimeout,
    UnexpectedAnswer,
)
from slipway.flows.tasks.arguments import Duration, HttpUrl, seconds_of
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.http import Line, send
from slipway.flows.tasks.instances import verbs_of
from slipway.model.request import Host
from slipway.states import runs
from slipway.states.intent import Durability
from slipway.states.run_machine import RunState
from slipway.texts import masked_url

_PATIENCE = 5.0
"""Seconds that one look may take."""

_AN_ENDPOINT = '"ADDRESS:PORT", such as 10.0.0.5:22 or [2001:db8::5]:22'
Endpoint: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^.+:[0-9]{1,5}$", description=_AN_ENDPOINT)]
"""Where a TCP connection is to be taken."""

Look = Callable[[Work, str], str | None]
"""What was seen of something, None: nothing yet."""


class WaitFor(Task):
    """Wait until something is seen: an open TCP port, an answer to a ping or a request, a file, a lease, a run's end.

    Needs no undo: it only looks.
    """

    name = "wait-for"
    kind = "seen"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What was seen once is not waited for again by a resume: it may be gone since, as a lease."""
        return Durability.RECORDED

    def do(
        self,
        work: Work,
        port: Endpoint | None = None,
        ping: str | None = None,
        http: HttpUrl | None = None,
        file: str | None = None,
        lease: str | None = None,
        run: str | None = None,
        interval: Duration = "1s",
    ) -> str:
        """Exactly one of: `port`: "ADDRESS:PORT"; `ping`: an address; `http`: a URL that is answered with a status
        below 400; `file`: a path; `lease`: an instance of the run's project, by name or id, whose guest gets an address
        by DHCP; `run`: another run of the project, by its id, that succeeds. `interval`: between two looks. Gives what
        was seen, in words; of a lease the address.

        Raises `StepTimeout` where it is not seen by the step's deadline, `RunFailed` for a run that ends otherwise.
        """
        given = {"port": port, "ping": ping, "http": http, "file": file, "lease": lease, "run": run}
        wanted = [(name, value) for name, value in given.items() if value is not None]
        if len(wanted) != 1:
            raise InvalidArguments(f"wait-for needs exactly one of {', '.join(given)}")
        ((name, value),) = wanted
        pause = max(seconds_of(self.name, "interval", interval), 0.01)
        tools = work.tools
        while (seen := _LOOKS[name](work, value)) is None:
            work.check()
            if (remaining := work.deadline - tools.monotonic()) <= 0:
                shown = masked_url(value) if "://" in value else value
                raise StepTimeout(f"wait-for {name} {shown}: not seen in time")
            tools.sleep(min(pause, remaining))
        return seen


def _patience(work: Work) -> float:
    """How long a look may take: one at least is had, however late it is."""
    return max(0.05, min(_PATIENCE, work.deadline - work.tools.monotonic()))


def _port(work: Work, where: str) -> str | None:
    address, colon, number = where.rpartition(":")
    if not (colon and address and number.isdecimal() and 0 < int(number) < 65536):
        raise InvalidArguments(f"wait-for: port must be {_AN_ENDPOINT}")
    try:
        with socket.create_connection((address.strip("[]"), int(number)), timeout=_patience(work)):
            return f"{where} takes connections"
    except OSError:
        return None


def _ping(work: Work, address: str) -> str | None:
    if not address or address.startswith("-") or "\0" in address:
        raise InvalidArguments("wait-for: ping must be an address")
    patience = _patience(work)
    command = ["ping", "-n", "-q", "-c", "1", "-W", str(max(1, int(patience))), "--", address]
    try:
        done = subprocess.run(command, capture_output=True, timeout=patience, check=False)
    except FileNotFoundError as error:
        raise CommandFailed("wait-for: there is no program ping on this machine") from error
    except subprocess.TimeoutExpired:
        return None
    return f"{address} answers" if done.returncode == 0 else None


def _http(work: Work, url: str) -> str | None:
    if not url.lower().startswith(("http://", "https://")) or url_mistake(url):
        raise InvalidArguments("wait-for: http must be an http or https URL")
    try:
        line = Line(work.check, work.tools.settings.poll_interval)
        status = send(f"GET {masked_url(url)}", _patience(work), "GET", url, {}, line=line).status
    except (ServerUnavailable, UnexpectedAnswer, StepTimeout):
        return None
    return f"answered {status}" if status < 400 else None


def _file(_work: Work, path: str) -> str | None:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidArguments(f"wait-for: file {path} cannot be looked at: {why}") from error
    return f"{path} is there"


def _lease(work: Work, name: str) -> str | None:
    verbs = verbs_of(work)
    instance = verbs.find(name, project=work.run.project, then=None)
    return next(iter(verbs.leases(instance.id)), None)


def _run(work: Work, run_id: str) -> str | None:
    with work.tools.store.read() as tx:
        run = runs.get(tx, run_id)
    if run.project != work.run.project:
        raise RunNotFound(f"no run {run_id} in project {work.run.project}")
    if run.id == work.run.id:
        raise InvalidArguments("wait-for: a run cannot wait for its own end")
    state = RunState(run.state)
    if state.has_ended and state is not RunState.SUCCEEDED:
        raise RunFailed(f"run {run.id} ({run.name}) is {state}")
    return f"{run.id} is {state}" if state.has_ended else None


_LOOKS: Mapping[str, Look] = {
    "port": _port,
    "ping": _ping,
    "http": _http,
    "file": _file,
    "lease": _lease,
    "run": _run,
}
