"""Ask the host's own name servers for a network's dnsmasq: `python -I -S relay.py OUTSIDE USER --conf-file=FILE`.

It listens in the namespace where it is started, at a loopback address that nobody but dnsmasq reaches, and asks from
the host's, of which OUTSIDE is an open descriptor: so also a resolver at the host's loopback address is heard. What
guests ask goes through unread; it is USER, who may do nothing, before the first of it comes. The file says where the
host's name servers are named, as `resolv.conf` has them; that is read for each question.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import select
import socket
import sys
import threading
import time
from collections.abc import Sequence

ADDRESS, PORT = "127.0.0.1", 5300
RESOLV_FILE = "resolv-file="
_DNS = 53
_CLONE_NEWNET = 0x40000000
_PATIENCE = 3.0
"""Seconds for one name server's answer."""

_MOST_ASKED, _MOST_STREAMS = 150, 20
"""Questions at a time; dnsmasq itself has no more."""

_MOST_SERVERS = 3
"""How many name servers count (resolv.conf(5))."""

_HEADER = 12
"""Bytes of a message's header."""

_SERVER_FAILS = 2


class Question:
    """One question, the name servers that were not asked yet, and until when the one that was may answer."""

    def __init__(self, text: bytes, asker: tuple[str, int], servers: Sequence[str]) -> None:
        self.text = text
        self.asker = asker
        self._servers = list(servers)
        self.until = 0.0

    def ask(self) -> socket.socket | None:
        """Ask the next one; None: there is none left."""
        while self._servers:
            server = self._servers.pop(0)
            asked = socket.socket(_family(server), socket.SOCK_DGRAM)
            try:
                # Connected: nobody else's answer is heard.
                asked.connect((server, _DNS))
                asked.send(self.text)
            except OSError:
                asked.close()
                continue
            self.until = time.monotonic() + _PATIENCE
            return asked
        return None


class Relay:
    """The questions that are asked, by the sockets at which answers come."""

    def __init__(self, heard: socket.socket, streams: socket.socket, resolv: str) -> None:
        self._heard, self._streams, self._resolv = heard, streams, resolv
        self._asked: dict[socket.socket, Question] = {}
        self._free = threading.BoundedSemaphore(_MOST_STREAMS)

    def run(self) -> None:
        """Until a signal ends it."""
        while True:
            now = time.monotonic()
            wait = min((question.until for question in self._asked.values()), default=None)
            patience = None if wait is None else max(0.0, wait - now)
            for ready in select.select([self._heard, self._streams, *self._asked], [], [], patience)[0]:
                if ready is self._heard:
                    self._hear()
                elif ready is self._streams:
                    self._accept()
                else:
                    self._answer(ready)
            for asked, question in list(self._asked.items()):
                if question.until <= time.monotonic():
                    self._next(asked)

    def _hear(self) -> None:
        text, asker = self._heard.recvfrom(65535)
        if len(text) >= _HEADER and len(self._asked) < _MOST_ASKED:
            self._ask(Question(text, asker, servers(self._resolv)))

    def _ask(self, question: Question) -> None:
        if (asked := question.ask()) is not None:
            self._asked[asked] = question
        else:
            self._heard.sendto(failure(question.text), question.asker)

    def _answer(self, asked: socket.socket) -> None:
        try:
            said = asked.recv(65535)
        except OSError:
            self._next(asked)
            return
        self._heard.sendto(said, self._asked.pop(asked).asker)
        asked.close()

    def _next(self, asked: socket.socket) -> None:
        asked.close()
        self._ask(self._asked.pop(asked))

    def _accept(self) -> None:
        stream, _ = self._streams.accept()
        if self._free.acquire(blocking=False):
            threading.Thread(target=self._converse, args=(stream,), daemon=True).start()
        else:
            stream.close()

    def _converse(self, stream: socket.socket) -> None:
        """What is too long for a datagram: a length of two bytes before each message (RFC 7766)."""
        try:
            with stream:
                stream.settimeout(_PATIENCE)
                while question := _message(stream):
                    stream.sendall(_answered(question, servers(self._resolv)))
        except OSError:
            pass
        finally:
            self._free.release()


def servers(resolv: str) -> list[str]:
    """The name servers that the file names."""
    try:
        with open(resolv, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"][:_MOST_SERVERS]


def failure(question: bytes) -> bytes:
    """The answer that nobody could be asked."""
    return question[:2] + bytes([question[2] | 0x80, _SERVER_FAILS]) + question[4:]


def _answered(question: bytes, asked: Sequence[str]) -> bytes:
    for server in asked:
        try:
            # Not `create_connection`, which imports more: what is nobody may not read it everywhere.
            with socket.socket(_family(server), socket.SOCK_STREAM) as connection:
                connection.settimeout(_PATIENCE)
                connection.connect((server, _DNS))
                connection.sendall(question)
                if answer := _message(connection):
                    return answer
        except OSError:
            continue
    return question[:2] + failure(question[2:])


def _message(stream: socket.socket) -> bytes:
    """The next message with its length; empty: there is none."""
    length = _read(stream, 2)
    text = _read(stream, int.from_bytes(length))
    return length + text if len(text) >= _HEADER else b""


def _read(stream: socket.socket, size: int) -> bytes:
    """So many bytes; empty: there are fewer. A socket with a timeout heeds no MSG_WAITALL."""
    found = b""
    while len(found) < size:
        if not (more := stream.recv(size - len(found))):
            return b""
        found += more
    return found


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def main() -> None:
    """Listen here, go out, and be nobody."""
    outside, user, configuration = int(sys.argv[1]), sys.argv[2], sys.argv[3].partition("=")[2]
    with open(configuration, encoding="utf-8") as file:
        [resolv] = [line.rstrip("\n").removeprefix(RESOLV_FILE) for line in file if line.startswith(RESOLV_FILE)]
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    streams = socket.create_server((ADDRESS, PORT))
    heard.bind((ADDRESS, PORT))
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(outside, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the host's network namespace cannot be entered")
    os.close(outside)
    found = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)
    print("started, version 1", flush=True)
    Relay(heard, streams, resolv).run()


if __name__ == "__main__":
    main()
