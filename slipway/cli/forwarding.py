"""Listens here and leads to a guest: each connection is one of the guest's, whoever comes first to its end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

from slipway.cli.failures import Code
from slipway.cli.forwardtype import Forward
from slipway.cli.options import Options
from slipway.cli.output import print_json
from slipway.cli.say import say, shown
from slipway.errors import SlipwayError
from slipway.operations.access import Guest

_BLOCK = 1 << 18
_MOST = 1000
"""Connections that wait to be taken."""


def forward(guest: Guest, again: Callable[[], Guest], forwards: Sequence[Forward], options: Options) -> Code:
    """Lead from each to the guest until Ctrl-C; `again` looks the guest up once more where it does not answer.

    Raises `UsageError` where nobody can listen there: then at none of them is listened.
    """
    listening = _listen(forwards)
    name = guest.instance.name
    for one, at in zip(forwards, listening, strict=True):
        address, port = at.getsockname()[:2]
        if options.json:
            print_json({"instance": name, "address": address, "port": port, "guest_port": one.to})
        else:
            where = f"[{address}]" if ":" in address else address
            say(f"{where}:{port} leads to port {one.to} of {shown(name)}; Ctrl-C ends it.")
    ways = [(at, one.to) for one, at in zip(forwards, listening, strict=True)]
    return asyncio.run(_Forwarder(guest, again).run(ways))


def _listen(forwards: Sequence[Forward]) -> list[socket.socket]:
    made: list[socket.socket] = []
    for one in forwards:
        at = socket.socket(socket.AF_INET6 if ":" in one.address else socket.AF_INET, socket.SOCK_STREAM)
        made.append(at)
        try:
            at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            at.bind((one.address, one.port))
            at.listen(_MOST)
        except OSError as error:
            for opened in made:
                opened.close()
            raise click.UsageError(f"nobody can listen at {one.address}:{one.port}: {error.strerror}") from error
        at.setblocking(False)
    return made


class _Forwarder:
    """The connections of one guest."""

    def __init__(self, guest: Guest, again: Callable[[], Guest]) -> None:
        self._guest = guest
        self._again = again
        self._said = ""
        self._at_work: set[asyncio.Task[None]] = set()

    async def run(self, ways: Sequence[tuple[socket.socket, int]]) -> Code:
        """Until Ctrl-C, or SIGTERM."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        taking = [asyncio.create_task(self._take(at, to)) for at, to in ways]
        await ended.wait()
        for task in (*taking, *self._at_work):
            task.cancel()
        await asyncio.gather(*taking, *self._at_work, return_exceptions=True)
        return Code.INTERRUPTED

    async def _take(self, at: socket.socket, to: int) -> None:
        with at:
            while True:
                try:
                    connection, _ = await asyncio.get_running_loop().sock_accept(at)
                except OSError:
                    # No file descriptor is left: those that are open may end.
                    await asyncio.sleep(0.1)
                    continue
                task = asyncio.create_task(self._serve(connection, to))
                self._at_work.add(task)
                task.add_done_callback(self._at_work.discard)

    async def _serve(self, here: socket.socket, to: int) -> None:
        with here:
            here.setblocking(False)
            there = await self._connected(to)
            if there is None:
                return
            with there:
                there.setblocking(False)
                await asyncio.gather(_pump(here, there), _pump(there, here))

    async def _connected(self, to: int) -> socket.socket | None:
        """In a thread of its own, for which nobody waits at Ctrl-C."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[socket.socket | None] = loop.create_future()

        def tell(found: socket.socket | None) -> None:
            if not answer.done():
                answer.set_result(found)
            elif found is not None:
                found.close()

        def connect() -> None:
            found = self._connect(to)
            # The loop has ended, and so does everything.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=connect, name="slipway forward", daemon=True).start()
        return await answer

    def _connect(self, to: int) -> socket.socket | None:
        """None where the guest does not answer; each reason is said once, until it answers again."""
        try:
            try:
                connection = self._guest.connect(to)
            except SlipwayError:
                # It may be gone, or elsewhere by now.
                self._guest = self._again()
                connection = self._guest.connect(to)
        except SlipwayError as error:
            if str(error) != self._said:
                self._said = str(error)
                say(f"slipway: {shown(str(error))}", err=True)
            return None
        self._said = ""
        return connection


async def _pump(source: socket.socket, target: socket.socket) -> None:
    """All that comes from one side goes to the other, and its end too; an error ends both."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, _BLOCK):
            await loop.sock_sendall(target, data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
