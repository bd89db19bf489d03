"""A forwarded port as it is typed."""

from __future__ import annotations

from typing import NamedTuple

import click

LOOPBACK = "127.0.0.1"


class Forward(NamedTuple):
    """Where is listened (port 0: any that is free), and to which port of the guest that leads."""

    address: str
    port: int
    to: int


class ForwardType(click.ParamType):  # type: ignore[type-arg]
    """[ADDRESS:]PORT[:GUESTPORT]; an IPv6 address stands in brackets."""

    name = "forward"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Forward:
        """What was meant."""
        text = str(value)
        address, closed, rest = text[1:].partition("]:") if text.startswith("[") else ("", "]:", text)
        words = rest.split(":")
        if not address and len(words) == 3:
            address, *words = words
        try:
            ports = [int(word) for word in words]
        except ValueError:
            ports = []
        wrong = [port for port in ports if not 0 <= port < 1 << 16]
        if not closed or len(ports) not in (1, 2) or wrong or ports[-1] == 0:
            self.fail(f"{text!r} is not [ADDRESS:]PORT[:GUESTPORT], such as 8080:80", param, ctx)
        return Forward(address or LOOPBACK, ports[0], ports[-1])
