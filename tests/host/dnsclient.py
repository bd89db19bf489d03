"""Questions to a name server, as a guest's resolver asks them."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import NamedTuple

from slipway.drivers.wiring.linuxbridge.namespace import inside
from tests.waiting import PATIENCE

A, PTR, AAAA = 1, 12, 28
NO_ERROR, SERVER_FAILS, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5


class Answer(NamedTuple):
    code: int
    said: tuple[str, ...]


def resolve(netns: str, server: str, name: str, kind: int = A, *, stream: bool = False) -> Answer:
    """What the server answers to whoever asks in the namespace."""
    number = os.urandom(2)
    question = number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + _wire(name) + struct.pack("!HH", kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with inside(netns), socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as asked:
        asked.settimeout(PATIENCE)
        asked.connect((server, 53))
        asked.send((struct.pack("!H", len(question)) if stream else b"") + question)
        said = message(asked) if stream else asked.recv(65535)
    assert said[:2] == number
    return Answer(said[3] & 15, tuple(sorted(_answers(said))))


def message(stream: socket.socket) -> bytes:
    """The next message of a stream."""
    with stream.makefile("rb") as file:
        return file.read(int.from_bytes(file.read(2)))


def reverse(netns: str, server: str, address: str) -> Answer:
    return resolve(netns, server, ipaddress.ip_address(address).reverse_pointer, PTR)


def answer(question: bytes, address: str) -> bytes:
    """A name server's answer: this address."""
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + ipaddress.ip_address(address).packed
    end = question.index(b"\0", 12) + 5
    return question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question[12:end] + record


def _wire(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _answers(said: bytes) -> list[str]:
    count, at = struct.unpack("!H", said[6:8])[0], said.index(b"\0", 12) + 5
    found = []
    for _ in range(count):
        _, at = _name(said, at)
        kind, length = struct.unpack("!H", said[at : at + 2])[0], struct.unpack("!H", said[at + 8 : at + 10])[0]
        at += 10
        if kind == PTR:
            found.append(_name(said, at)[0])
        elif kind in (A, AAAA):
            found.append(str(ipaddress.ip_address(said[at : at + length])))
        at += length
    return found


def _name(said: bytes, at: int) -> tuple[str, int]:
    labels = []
    while (length := said[at]) != 0:
        if length >= 0xC0:
            labels.append(_name(said, (length & 0x3F) << 8 | said[at + 1])[0])
            return ".".join(labels), at + 2
        labels.append(said[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1
