"""`slipway validate` and `slipway schema`, as a user types them; the schema against what is read."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from slipway.cli.main import main
from slipway.flows.definition import OnError
from slipway.flows.inputtypes import TYPES
from slipway.flows.workflows import keys
from tests.workflows.corpus import FILES, cases

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "workflows.md").read_text()
SCHEMA: dict[str, Any] = json.loads((Path(keys.__file__).parent / "schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
WORKFLOWS = [
    *(path.read_text() for path in sorted(ROOT.glob("examples/**/*.yaml")) if "\nsteps:" in path.read_text()),
    *(path.read_text() for path in sorted((ROOT / "slipway" / "flows" / "definitions").glob("*.yaml"))),
    *re.findall(r"```yaml\n(schema: 1\n.*?)```", PAGE, re.DOTALL),
]


def _slipway(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="slipway")


@pytest.mark.parametrize("text", WORKFLOWS)
def test_workflows_that_are_right_fit_the_schema(text: str) -> None:
    VALIDATOR.validate(_core(text))


def _core(text: str) -> Any:
    from slipway.yamlfile.document import parse

    return parse(text, "w.yaml").value


def test_run_files_that_are_right_fit_theirs() -> None:
    schema = json.loads(_slipway("schema", "run").stdout)
    Draft202012Validator.check_schema(schema)
    for path in sorted(ROOT.glob("examples/*.yaml")):
        Draft202012Validator(schema).validate(_core(path.read_text()))


def test_the_schema_has_just_the_keys_that_are_read() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    definitions = SCHEMA["$defs"]
    assert set(SCHEMA["properties"]) == set(keys.WORKFLOW)
    assert set(SCHEMA["properties"]["defaults"]["properties"]) == set(keys.DEFAULTS)
    for name, fields in (("input", keys.INPUT), ("retry", keys.RETRY), ("step", keys.STEP), ("final", keys.FINAL)):
        assert set(definitions[name]["properties"]) == set(fields), name
    assert set(definitions["step"]["properties"]["revert"]["properties"]) == set(keys.REVERT)
    assert definitions["input"]["properties"]["type"]["enum"] == list(TYPES)
    assert definitions["step"]["properties"]["on_error"]["enum"] == list(OnError)
    assert SCHEMA["properties"]["steps"]["maxItems"] == keys.MAX_STEPS


def test_the_schema_refuses_what_has_a_wrong_shape() -> None:
    refused = [
        case.name
        for file in FILES
        for case in cases(file)
        if any(word in case.expected for word in ("unknown key", "must be a mapping", "must be a list"))
        and "\n--- " not in case.text
        and "not valid YAML" not in case.expected
        and VALIDATOR.is_valid(_core(case.text))
    ]
    # Of arguments of tasks and defaults of inputs, and of what an expression gives, the schema knows no types.
    assert sorted(refused) == ["defaults", "types between steps", "types of plain values"]


def test_the_reference_names_every_key_type_and_function() -> None:
    from slipway.flows.expressions import FUNCTIONS

    for fields in (keys.WORKFLOW, keys.INPUT, keys.DEFAULTS, keys.STEP, keys.REVERT, keys.RETRY):
        for key in fields:
            assert f"`{key}`" in PAGE or f"{key}:" in PAGE, key
    for name in TYPES:
        assert f"`{name}`" in PAGE, name
    for name in set(FUNCTIONS) - {"uint", "bytes", "type", "dyn"}:
        assert f"`{name}" in PAGE, name


def test_a_workflow_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(
        "schema: 1\nname: w\ninputs: {zone: {type: string, default: x}}\n"
        'steps:\n  - {id: a, uses: http, with: {method: PUT, url: "http://${{ inputs.zone }}"}}\n'
    )
    done = _slipway("validate", str(file))
    assert (done.exit_code, done.stdout) == (0, f"{file} is valid: workflow w, 1 input, 1 step\n")
    warning = f'{file}:5:5: what step "a" does cannot be undone: task http has no undo, give the step a revert'
    assert done.stderr == f"{warning} (a warning)\n"
    said = json.loads(_slipway("validate", str(file), "--output", "json").stdout)
    assert said == {"file": str(file), "valid": True, "workflow": "w", "inputs": 1, "steps": 1, "warnings": [warning]}
    file.write_text(file.read_text().replace("inputs.zone", "inputs.zonk"))
    done = _slipway("validate", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f'{file}:5:62: unknown input "zonk", did you mean "zone"?\n'
        '    5 |   - {id: a, uses: http, with: {method: PUT, url: "http://${{ inputs.zonk }}"}}\n'
        "      |                                                              ^\n"
    )


def test_a_run_files_workflow_warns_as_well(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text("schema: 1\nworkflow: ./own.yaml\n")
    build = (ROOT / "slipway" / "flows" / "definitions" / "build-instance.yaml").read_text()
    own = tmp_path / "own.yaml"
    own.write_text(f"{build}  - {{id: told, uses: http, with: {{url: 'http://x', method: PUT}}}}\n")
    done = _slipway("validate", str(file))
    assert done.exit_code == 0
    assert done.stderr.startswith(f'{own}:79:5: what step "told" does cannot be undone')


def test_a_thousand_steps_are_checked_within_a_second(tmp_path: Path) -> None:
    step = "  - {id: sN, uses: set, if: \"${{ inputs.zone != 'yN' }}\", with: {value: '${{ run.id }}-N'}}\n"
    steps = "".join(step.replace("N", str(number)) for number in range(1000))
    file = tmp_path / "w.yaml"
    file.write_text(f"schema: 1\nname: w\ninputs: {{zone: {{type: string, default: x}}}}\nsteps:\n{steps}")
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", "from slipway.cli.main import main; main()", "validate", str(file)],
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1
