"""The workflows of the examples, drilled: whatever goes wrong at whichever call or commit, nothing leaks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import deepcopy
from pathlib import Path

import pytest

from slipway import RunFile
from slipway.drill.campaign import Report, Wanted
from slipway.drill.workflows.campaign import drill
from slipway.drill.workflows.plan import FlowPlan
from slipway.flows.runs.prepared import Given
from slipway.flows.tasks.catalog import load_tasks
from slipway.runfile import loads
from tests.examples.services import Services
from tests.examples.test_workflows import EXAMPLES, WORKFLOWS, Example

CASES = 8
"""How many of an example's cases are run every time, from all over it."""

names = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)


def world(instances: int) -> RunFile:
    """The site of the examples with instances on it."""
    text = (WORKFLOWS / "site.yaml").read_text()
    text += "flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}\n"
    text += "images: {tiny: {path: /images/tiny, format: qcow2}}\n"
    entries = [f"web-{n + 1}: {{flavor: small, image: tiny, networks: [front]}}" for n in range(instances)]
    return loads(f"{text}instances: {{{', '.join(entries)}}}\n", "world.yaml")


def plan_of(example: Example, services: Services, directory: Path) -> FlowPlan:
    load_tasks(str(WORKFLOWS / "inventory.py"))
    services.resources = deepcopy(dict(example.resources))
    inventory = directory / "inventory.json"
    inputs = {name: str(inventory) if name == "inventory" else value for name, value in example.inputs.items()}

    def look() -> Collection[str]:
        entries = inventory.read_text().count('"key"') if inventory.exists() else 0
        return [*(f"{url}: {content}" for url, content in services.resources.items()), *["an entry"] * entries]

    return FlowPlan(WORKFLOWS / f"{example.file}.yaml", Given(inputs), look, world(example.instances))


def check(report: Report, record_property: Callable[[str, object], None]) -> None:
    totals = ", ".join(f"{number} {outcome}" for outcome, number in sorted(report.totals.items()))
    said = f"{report.points} points, {len(report.results)} of {report.planned} runs in {report.seconds:.0f} s: {totals}"
    record_property("drill", said)
    print(f"\n{report.plan.path.stem}: {said}")
    assert {one.case.name: [str(problem) for problem in one.problems] for one in report.leaks} == {}
    assert len(report.results) == report.planned


@names
def test_nothing_leaks_of_an_example(
    example: Example, services: Services, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each of these cases is another point."""
    check(drill(plan_of(example, services, tmp_path), Wanted(sample=CASES)), record_property)


@pytest.mark.slow
@names
def test_nothing_leaks_of_an_example_whatever_goes_wrong(
    example: Example, services: Services, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every case there is."""
    check(drill(plan_of(example, services, tmp_path)), record_property)
