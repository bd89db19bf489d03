"""Tables on terminals that are too narrow for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from slipway import Orchestrator
from slipway.cli.columns import GAP, fitted

Call = Callable[..., Result]
Terminals = Callable[..., Any]
FileWriter = Callable[..., str]

PORTS = {"NAME": 8, "ADDRESSES": 15, "MAC": 17, "NETWORK": 8, "STATUS": 6, "DEVICE": 49, "ID": 36}


@pytest.mark.parametrize(
    ("widths", "room", "cut", "left_out"),
    [
        (PORTS, 200, {}, []),
        (PORTS, 120, {"DEVICE": 18}, []),
        (PORTS, 90, {"DEVICE": 8, "ID": 16}, []),
        (PORTS, 82, {"DEVICE": 8, "ID": 8}, []),
        (PORTS | {"ADDRESSES": 39}, 90, {}, ["DEVICE", "ID"]),
        (PORTS | {"ADDRESSES": 39}, 80, {}, ["DEVICE", "ID", "NETWORK"]),
        (PORTS, 30, {}, ["DEVICE", "ID", "NETWORK", "MAC", "STATUS"]),
        (PORTS, 20, {"NAME": 8, "ADDRESSES": 10}, ["DEVICE", "ID", "NETWORK", "MAC", "STATUS"]),
        ({"WHAT": 100}, 50, {"WHAT": 50}, []),
    ],
)
def test_columns_give_way_in_an_order_of_worth(
    widths: dict[str, int], room: int, cut: dict[str, int], left_out: list[str]
) -> None:
    found = fitted(widths, room, folded=())
    assert list(found[1]) == left_out
    assert {name: width for name, width in found[0].items() if width < widths[name]} == {
        name: width for name, width in cut.items() if width < widths[name]
    }


@pytest.mark.parametrize("room", range(10, 160, 7))
def test_it_fits_wherever_it_can(room: int) -> None:
    cut, left_out = fitted(PORTS | {"WHY": 90}, room, folded=("WHY",))
    shown = {name: cut.get(name, width) for name, width in PORTS.items() if name not in left_out}
    if "WHY" not in left_out:
        shown["WHY"] = min(16, room)
    total = sum(shown.values()) + GAP * (len(shown) - 1)
    assert total <= room or set(shown) <= {"NAME", "ADDRESSES"}


def test_addresses_and_names_of_ports_are_whole_at_80_columns(
    slipway: Call, run_file: FileWriter, terminal: Terminals, environment: dict[str, str]
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    with Orchestrator(environment["SLIPWAY_STATE"]) as orchestrator:
        net = orchestrator.network.create_network(name="v6")
        orchestrator.network.create_subnet(network_id=net.id, ip_version=6, cidr="2001:db8:1234:5678::/64")
        address = "2001:db8:1234:5678:aaaa:bbbb:cccc:dddd"
        orchestrator.network.create_port(network_id=net.id, name="a-long-name", fixed_ips=[{"ip_address": address}])
    for columns in (60, 80, 100, 140):
        screen = terminal("port", "list", columns=columns)
        assert screen.wait() == 0
        assert re.search(rf"^a-long-name +{address}", screen.text, re.MULTILINE), screen.text
        assert "192.168.0.10 " in screen.text
        assert max(len(line.rstrip()) for line in screen.text.splitlines() if "no room" not in line) <= columns
        header = screen.text.splitlines()[0].split()
        assert ("ID" in header) == ("no room" not in screen.text) or "DEVICE" not in header, screen.text
    piped = slipway("port", "list").stdout
    assert (piped.splitlines()[0].split()[-1], "no room" in piped) == ("ID", False)


def test_every_list_fits(slipway: Call, run_file: FileWriter, terminal: Terminals, tmp_path: Path) -> None:
    assert slipway("run", run_file()).exit_code == 0
    for args in (
        *((noun, "list") for noun in ("network", "subnet", "port", "security-group", "quota")),
        *(("list",), ("show", "web"), ("host", "check", "--uri", "test:///default", "--state", str(tmp_path / "c"))),
    ):
        screen = terminal(*args, columns=70)
        screen.wait()
        assert max(len(line.rstrip()) for line in screen.text.splitlines()) <= 70, screen.text
