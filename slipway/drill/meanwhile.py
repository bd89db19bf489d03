"""What somebody else does while a drilled instance is built or deleted: another command, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from slipway import errors
from slipway.drill.bench import NEIGHBOUR, Bench
from slipway.model.network import Port
from slipway.networks.attributes import DhcpOptionRequest

ANOTHER = "somebody-elses-server"
"""The device of a port that was given away."""


def do(variant: str, bench: Bench) -> None:
    """Do it. That it is refused is an answer as well."""
    with suppress(errors.NetworkError, errors.AbortBuild):
        MEANWHILE[variant](bench)


def _neighbour_goes(bench: Bench) -> None:
    """The neighbour, on the same host and network, is deleted."""
    other = bench.another
    if any(instance.name == NEIGHBOUR for instance in other.list()):
        other.delete(NEIGHBOUR, project=bench.file.project)


def _port_deleted(bench: Bench) -> None:
    for port in _ports(bench):
        bench.another.network.delete_port(port.id)


def _port_given(bench: Bench) -> None:
    for port in _ports(bench):
        bench.another.network.update_port(port.id, device_id=ANOTHER)


def _port_down(bench: Bench) -> None:
    for port in _ports(bench):
        bench.another.network.update_port(port.id, admin_state_up=False)


def _option_changed(bench: Bench) -> None:
    option: DhcpOptionRequest = {"opt_name": "domain-name", "opt_value": "drill.example.org"}
    for port in _ports(bench):
        bench.another.network.update_port(port.id, extra_dhcp_opts=[option])


MEANWHILE: dict[str, Callable[[Bench], None]] = {
    "neighbour_goes": _neighbour_goes,
    "port_deleted": _port_deleted,
    "port_given": _port_given,
    "port_down": _port_down,
    "option_changed": _option_changed,
}


def _ports(bench: Bench) -> Iterator[Port]:
    """The first port that was made for a drilled instance, if there is one by now; not what was brought along."""
    for instance in bench.another.list(project=bench.file.project):
        brought = {nic.port for nic in instance.request.networks or () if nic.port is not None}
        if instance.name in bench.names:
            ports = bench.another.network.list_ports(device_id=instance.id, sort_key="id")
            yield from [port for port in ports if not {port.name, port.id} & brought][:1]
            return
