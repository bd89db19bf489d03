"""Pinned CPUs are placed within a NUMA cell of the host, where its cells are known, and `explain` says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.model.numa import cells_of, cpus_text, guest_cells, parse_cpus
from slipway.runfile import RunFile, loads

FILE = """
schema: 1
hosts:
  wide: {{vcpus: 8, memory: 8GiB, disk: 100GiB, numa: ["0-1,4", "2-3,5"]}}
  plain: {{vcpus: 8, memory: 4GiB, disk: 100GiB, enabled: false}}
flavors: {{pinned: {{vcpus: {vcpus}, memory: 512MiB, disk: 1GiB, pin_cpus: {pins}{more}}}}}
images: {{none: {{kernel: /boot/k}}}}
instances: {{one: {{flavor: pinned, image: none, networks: []}}}}
"""


def file(pins: list[int], more: str = "") -> RunFile:
    return loads(FILE.format(vcpus=len(pins), pins=pins, more=more), "numa.yaml")


@pytest.mark.parametrize(
    ("pins", "more", "why"),
    [
        ([0, 1, 4], "", ""),
        ([5, 2], "", ""),
        ([1, 2], "", "CPUs 1-2 are in its NUMA cells 0 (0-1,4) and 1 (2-3,5), and not in one"),
        ([0, 1, 2, 3], ", numa_cells: 2", ""),
        ([0, 2, 1, 3], ", numa_cells: 2", "CPUs 0,2 are in its NUMA cells 0 (0-1,4) and 1 (2-3,5), and not in one"),
        ([0, 7], "", "not all of CPUs 0,7 are in its NUMA cells (0-1,4; 2-3,5)"),
    ],
)
def test_pins_are_within_a_cell_for_each_cell_of_the_guest(
    pins: list[int], more: str, why: str, tmp_path: Path
) -> None:
    with Orchestrator(tmp_path / "state") as slipway:
        (ended,) = slipway.run(file(pins, more)).ended
        assert ended.instance is not None
        fault = ended.instance.fault
        assert ("" if fault is None else fault.message) == fault_text(why)
        (verdict,) = (one for one in slipway.explain("one").now if one.host == "wide")
        assert [(refusal.filter, refusal.reason) for refusal in verdict.refusals] == ([("numa", why)] if why else [])


def fault_text(why: str) -> str:
    return f"no host fits one: plain: it is disabled; wide: {why}" if why else ""


def test_cells_are_said_by_a_user_or_measured(tmp_path: Path) -> None:
    def slipway(*words: str) -> str:
        done = CliRunner().invoke(main, [*words, "--state", str(tmp_path / "state")])
        assert done.exit_code == 0, done.output
        return done.output

    slipway("host", "add", "a", "--vcpus", "4", "--memory", "1GiB", "--disk", "1GiB", "--numa", "0-1/2-3")
    assert json.loads(slipway("host", "show", "a", "--output", "json"))["numa"] == ["0-1", "2-3"]
    assert "NUMA cells     0-1; 2-3" in slipway("host", "show", "a")
    slipway("host", "set", "a", "--numa", "auto")
    assert json.loads(slipway("host", "show", "a", "--output", "json"))["numa"] == ["0-1", "2-3"]
    slipway("host", "set", "a", "--numa", "none")
    assert json.loads(slipway("host", "show", "a", "--output", "json"))["numa"] == []


@pytest.mark.parametrize(
    ("numa", "said"),
    [
        ('["0-3", "3-5"]', "CPU 3 is in NUMA cell 0 as well"),
        ('["5-3"]', "the range 5-3 goes down"),
        ('["all"]', "CPUs, such as 0-3,8"),
        ('"0-3"', "numa"),
    ],
)
def test_cells_that_cannot_be_are_a_mistake_of_the_file(numa: str, said: str) -> None:
    text = FILE.format(vcpus=1, pins=[0], more="").replace('["0-1,4", "2-3,5"]', numa)
    with pytest.raises(errors.InvalidFile) as raised:
        loads(text, "numa.yaml")
    assert said in str(raised.value)


def test_cpus_as_text() -> None:
    assert parse_cpus("8,0-3") == {0, 1, 2, 3, 8}
    assert cpus_text({8, 0, 1, 3, 2}) == "0-3,8"
    assert cells_of(("0-1", "2-3"), (3, 0, 9)) == [-1, 0, 1]
    assert [list(one) for one in guest_cells((0, 1, 2, 3), 2)] == [[0, 1], [2, 3]]


def test_libvirt_says_the_cells_of_its_host() -> None:
    pytest.importorskip("libvirt")
    from slipway.drivers.compute.libvirt.node import cells

    def cell(*cpus: int) -> str:
        return f"<cell><cpus>{''.join(f'<cpu id={chr(39)}{cpu}{chr(39)}/>' for cpu in cpus)}</cpus></cell>"

    there = f"<cells>{cell(0, 2)}{cell()}{cell(1, 3)}</cells>"
    text = f"<capabilities><host><topology>{there}</topology></host></capabilities>"
    assert cells(text) == ("0,2", "1,3")
