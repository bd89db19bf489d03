"""A workflow's YAML, checked and made into a definition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from slipway.flows.definition import Definition, Reference, StepDefinition, TaskSignature, Value


def find_definition(workflow: str) -> Path:
    """The file of a workflow that is known by name, or the path as it is."""
    known = Path(__file__).parent / "definitions" / f"{workflow}.yaml"
    return known if known.is_file() else Path(workflow)


def load_definition(path: Path, catalog: Mapping[str, TaskSignature]) -> Definition:
    """Stand-in until the checking loader lands."""
    data = yaml.safe_load(path.read_text())
    steps, previous = [], ()
    for step in data["steps"]:
        arguments = tuple((name, _value(value)) for name, value in step.get("with", {}).items())
        each = _value(step["for_each"]) if "for_each" in step else None
        assert each is None or isinstance(each, Reference)
        steps.append(
            StepDefinition(step["id"], step["uses"], arguments, tuple(step.get("needs", previous)), each)
        )
        previous = (step["id"],)
    return Definition(data["name"], tuple(steps), 120.0)


def _value(value: Any) -> Value:
    if isinstance(value, str) and value.startswith("${{"):
        return Reference(tuple(value[3:-2].strip().split(".")))
    return value  # type: ignore[no-any-return]
