from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import InvalidFile
from slipway.flows.definition import (
    Cel,
    Definition,
    InputDefinition,
    Inverse,
    ListValue,
    MapValue,
    OnError,
    Reference,
    Retry,
    StepDefinition,
    Template,
)  # fmt: skip
from slipway.flows.loader import find_definition, known_workflows, load_definition, load_workflow
from slipway.flows.tasks.catalog import CATALOG as TASKS
from slipway.flows.tasks.catalog import SIGNATURES
from tests.workflows.corpus import CATALOG, FILES, Case, cases, load, said_of

CASES = [case for file in FILES for case in cases(file)]
BAD = "".join(file.read_text() for file in FILES)
HEAD = "schema: 1\nname: w\n"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_problem_is_told_with_its_place(tmp_path: Path, case: Case) -> None:
    began = time.process_time()
    assert said_of(tmp_path, case.text) == case.expected
    assert case.expected
    assert time.process_time() - began < 1


def test_there_are_many_wrong_files() -> None:
    assert len(CASES) >= 80
    assert len({case.name for case in CASES}) == len(CASES)


def _definition(directory: Path, text: str) -> Definition:
    return load(directory, text).definition


def test_a_definition_has_what_the_file_says(tmp_path: Path) -> None:
    text = """\
schema: 1
name: with-dns
description: A DNS record around a build.
inputs:
  zone: {type: string, default: example.org, pattern: "[a-z.]+", description: Where the record goes.}
  count: {type: integer, required: true, minimum: 1, maximum: 9}
  memory: {type: size, enum: [512MiB, 1GiB]}
  password: {type: secret}
defaults: {timeout: 2m, retry: {max_attempts: 2}}
steps:
  - id: first
    uses: schedule
    retry: {max_attempts: 4, delay: 1s, backoff: 3, jitter: 0.5, errors: [TransientNetworkError]}
  - {id: left, uses: claim, for_each: "${{ steps.first.outputs.hosts }}", parallel: 3, with: {placement: "${{ item }}"}}
  - id: right
    name: The record
    uses: http
    needs: [first]
    if: ${{ inputs.zone != '' && inputs.count > 1 }}
    timeout: 500ms
    on_error: pause
    with:
      url: https://dns/${{ inputs.zone }}/${{ steps.first.outputs.hosts[0] }}
      method: PUT
      headers: {X-Run: "${{ run.id }}", X-Plain: a}
      json: [1, "${{ inputs['count'] + 1 }}"]
    revert: {uses: http, with: {url: "https://dns/${{ result.id }}", method: DELETE}}
    outputs: {id: "${{ result.id }}", n: 5}
  - {id: last, uses: set, needs: [left, right], on_error: continue, with: {value: "${{ steps.right.outputs.id }}"}}
finally:
  - {id: told, uses: set, with: {value: "${{ steps.last.status }}"}}
outputs: {id: "${{ steps.right.outputs.id }}"}
"""
    workflow = load(tmp_path, text)
    definition = workflow.definition
    assert definition.inputs == (
        InputDefinition(
            "zone", "string", default="example.org", pattern="[a-z.]+", description="Where the record goes."
        ),
        InputDefinition("count", "integer", required=True, minimum=1, maximum=9),
        InputDefinition("memory", "size", enum=(2**29, 2**30)),
        InputDefinition("password", "secret"),
    )
    assert (definition.name, definition.description, definition.timeout) == (
        "with-dns",
        "A DNS record around a build.",
        120.0,
    )
    first, left, right, last = definition.steps
    assert first.retry == Retry(4, delay=1.0, backoff=3.0, jitter=0.5, errors=("TransientNetworkError",))
    assert left.retry == Retry(2)
    assert (first.needs, left.needs, right.needs, last.needs) == ((), ("first",), ("first",), ("left", "right"))
    assert (left.for_each, left.parallel) == (Reference(("steps", "first", "outputs", "hosts")), 3)
    assert left.arguments == (("placement", Reference(("item",))),)
    zone, count = Reference(("inputs", "zone")), Reference(("inputs", "count"))
    assert right == StepDefinition(
        id="right",
        uses="http",
        name="The record",
        needs=("first",),
        condition=Cel("inputs.zone != '' && inputs.count > 1", (zone, count)),
        timeout=0.5,
        retry=Retry(2),
        on_error=OnError.PAUSE,
        position=f"{tmp_path / 'w.yaml'}:15:5",
        arguments=(
            ("url", Template(("https://dns/", zone, "/", Reference(("steps", "first", "outputs", "hosts", "0"))))),
            ("method", "PUT"),
            ("headers", MapValue((("X-Run", Reference(("run", "id"))), ("X-Plain", "a")))),
            ("json", ListValue((1, Cel("inputs['count'] + 1", (count,))))),
        ),
        revert=Inverse(
            "http", (("url", Template(("https://dns/", Reference(("result", "id"))))), ("method", "DELETE"))
        ),
        outputs=(("id", Reference(("result", "id"))), ("n", 5)),
    )
    assert last.on_error is OnError.CONTINUE
    assert definition.finals[0].arguments == (("value", Reference(("steps", "last", "status"))),)
    assert definition.outputs == (("id", Reference(("steps", "right", "outputs", "id"))),)
    assert workflow.warnings == ()


def test_steps_stand_in_an_order_in_which_they_can_run(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
steps:
  - {id: last, uses: set, needs: [left, right], with: {value: "${{ steps.left.outputs }}"}}
  - {id: left, uses: schedule, needs: [first]}
  - {id: right, uses: schedule, needs: [first, other]}
  - {id: first, uses: schedule, needs: []}
  - {id: other, uses: schedule, needs: []}
"""
    )
    order = [step.id for step in _definition(tmp_path, text).steps]
    assert order == ["first", "other", "left", "right", "last"]


def test_another_workflow_is_read_with_the_first(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    other = "schema: 1\nname: other\ninputs: {zone: {type: string}}\n"
    other += "steps: [{id: a, uses: ./third.yaml}]\noutputs: {x: 1}\n"
    (tmp_path / "sub" / "other.yaml").write_text(other)
    (tmp_path / "sub" / "third.yaml").write_text("schema: 1\nname: third\nsteps: [{id: a, uses: schedule}]\n")
    text = (
        HEAD
        + """\
steps:
  - {id: a, uses: ./sub/other.yaml, with: {zone: x}}
  - {id: b, uses: set, with: {value: "${{ steps.a.outputs.x }}"}}
"""
    )
    workflow = load(tmp_path, text)
    paths = [str(tmp_path / "sub" / "third.yaml"), str(tmp_path / "sub" / "other.yaml")]
    assert workflow.definition.steps[0].uses == paths[1]
    assert list(workflow.parts) == paths
    assert workflow.parts[paths[1]].steps[0].uses == paths[0]
    assert workflow.texts == {
        str(tmp_path / "w.yaml"): text,
        paths[1]: other,
        paths[0]: (tmp_path / "sub" / "third.yaml").read_text(),
    }
    (tmp_path / "sub" / "other.yaml").write_text("broken: [")
    assert load_workflow(tmp_path / "w.yaml", CATALOG, texts=workflow.texts) == workflow


def test_workflows_nest_only_so_deep(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"n{number}.yaml").write_text(
            f"schema: 1\nname: n\nsteps: [{{id: a, uses: ./n{number + 1}.yaml}}]\n"
        )
    with pytest.raises(InvalidFile, match=r"n19\.yaml:3:23: workflows use each other more than 20 deep$"):
        load_workflow(tmp_path / "n0.yaml", CATALOG)


def test_what_cannot_be_undone_is_a_warning(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
steps:
  - {id: a, uses: http, with: {url: x, method: PUT}}
  - {id: b, uses: http, with: {url: x}}
  - {id: c, uses: http, with: {url: x, method: PUT}, revert: {uses: http, with: {url: x, method: DELETE}}}
  - {id: d, uses: http, with: {url: x, method: "${{ run.name }}"}}
finally:
  - {id: e, uses: http, with: {url: x, method: PUT}}
"""
    )
    prefix = f"{tmp_path / 'w.yaml'}:"
    assert [warning.removeprefix(prefix) for warning in load(tmp_path, text).warnings] == [
        f'{line}:5: what step "{name}" does cannot be undone: task http has no undo, give the step a revert'
        for line, name in ((4, "a"), (7, "d"))
    ]


def test_a_secret_that_stands_in_the_file_is_a_warning(tmp_path: Path) -> None:
    inputs = "inputs:\n  a: {type: secret}\n  b: {type: secret, default: known}\n  c: {type: secret, enum: [known]}\n"
    prefix = f"{tmp_path / 'w.yaml'}:"
    warnings = load(tmp_path, f"{HEAD}{inputs}steps: [{{id: a, uses: schedule}}]\n").warnings
    assert [warning.removeprefix(prefix) for warning in warnings] == [
        f'{line}:3: secret "{name}" stands in the file: give it to each run' for line, name in ((5, "b"), (6, "c"))
    ]


def test_the_line_is_shown_and_the_place_marked(tmp_path: Path) -> None:
    text = (
        HEAD + "inputs: {zone: {type: string}}\nsteps:\n  - {id: a, uses: set, with: {value: '${{ inputs.zonk }}'}}\n"
    )
    with pytest.raises(InvalidFile) as caught:
        load(tmp_path, text + f"  - {{id: b, uses: set, with: {{value: '{'x' * 200}', valu: 1}}}}\n")
    first, second = caught.value.excerpts
    assert first == (
        "    5 |   - {id: a, uses: set, with: {value: '${{ inputs.zonk }}'}}\n"
        "      |                                           ^"
    )
    line, mark = second.split("\n")
    assert line[mark.index("^") :].startswith("valu: 1")
    assert len(line) <= 108


def test_the_workflows_that_come_along_are_right() -> None:
    assert known_workflows() == ("build-instance", "clone-instance")
    for name in known_workflows():
        assert load_definition(find_definition(name), SIGNATURES).name == name
    assert TASKS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0", ":1:1: character U+0000 is not allowed here"),
        (HEAD.encode() + b"steps: [\0]", ":3:9: character U+0000 is not allowed here"),
        (HEAD.encode("utf-16"), ":1:1: the file is UTF-16: save it as UTF-8"),
        (HEAD.encode("utf-16-be"), ":1:1: character U+0000 is not allowed here"),
        (HEAD.encode("utf-32"), ":1:1: the file is UTF-16: save it as UTF-8"),
        ("schema: 1\nname: é\n".encode("latin-1"), ":2:7: the file is not UTF-8 (byte 0xe9)"),
        (b"\xef\xbb\xbf" + HEAD.encode(), ":1:1: the file begins with a byte order mark: save it as UTF-8 without one"),
        (b"a: " * 100_000, ":1:5: not valid YAML: mapping values are not allowed in this context"),
        (b"[" * 500, ":1:33: nested more than 32 levels deep"),
        (b"- " * 100_000, ":1:65: nested more than 32 levels deep"),
        (b"? " * 100_000, ":1:3: a key must be a text, not a list or a mapping"),
        (b"", ": the file is empty"),
        (b"# nothing\n", ": the file is empty"),
    ],
)  # fmt: skip
def test_what_is_no_workflow_at_all(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "w.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidFile) as caught:
        load_definition(file, CATALOG)
    assert caught.value.problems == (f"{file}{said}",)


def test_what_is_nested_deeper_than_the_parser_looks_ahead(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_bytes(b"[" * 100_000)
    with pytest.raises(InvalidFile) as caught:
        load_definition(file, CATALOG)
    # LibYAML has a bound of its own since 0.2.6, which it meets before its first event.
    assert caught.value.problems in (
        (f"{file}:1:33: nested more than 32 levels deep",),
        (f"{file}:1:1001: not valid YAML: exceeded maximum nesting depth",),
    )


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    with file.open("wb") as opened:
        opened.write(HEAD.encode())
        opened.truncate(100 * 1024 * 1024)
    began = time.process_time()
    with pytest.raises(InvalidFile, match="the file is larger than 4096 KiB"):
        load_definition(file, CATALOG)
    with pytest.raises(InvalidFile, match="the file is larger than 4096 KiB"):
        load_definition(Path("/dev/zero"), CATALOG)
    with pytest.raises(InvalidFile, match="cannot be read: Is a directory"):
        load_definition(tmp_path, CATALOG)
    assert time.process_time() - began < 1


def _linear(number: int) -> str:
    steps = (
        f"  - {{id: s{n}, uses: set, with: {{value: '${{{{ steps.s{max(n - 1, 0)}.outputs }}}}'}}}}\n" if n
        else "  - {id: s0, uses: schedule}\n"
        for n in range(number)
    )  # fmt: skip
    return f"{HEAD}steps:\n{''.join(steps)}"


def test_too_many_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"w\.yaml:4:3: a workflow has at most 10000 steps, not 10001$"):
        load(tmp_path, _linear(10_001))


def test_a_step_costs_the_same_in_a_long_workflow(tmp_path: Path) -> None:
    def seconds(number: int) -> float:
        text = _linear(number)
        began = time.process_time()
        assert len(_definition(tmp_path, text).steps) == number
        return time.process_time() - began

    seconds(100)
    short = min(seconds(1000) for _ in range(3))
    assert short < 1
    assert min(seconds(10_000) for _ in range(2)) < 20 * short


def test_many_mistakes_take_no_longer(tmp_path: Path) -> None:
    steps = "".join(
        f"  - {{id: s{n}, uses: sett, with: {{valu: '${{{{ steps.t{n}.outputs }}}}'}}}}\n" for n in range(5000)
    )
    began = time.process_time()
    with pytest.raises(InvalidFile, match="and 9900 problems more"):
        load(tmp_path, f"{HEAD}steps:\n{steps}")
    assert time.process_time() - began < 10


@settings(deadline=20_000)
@given(st.integers(0, len(BAD)), st.integers(0, 400), st.text('ab1 :-[]{},.$\n"&*!', max_size=5))
def test_any_text_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, inserted: str
) -> None:
    piece = BAD[start : start + length]
    text = re.sub("^--- .*$", "", piece[: length // 2] + inserted + piece[length // 2 :], flags=re.MULTILINE)
    try:
        steps: object = _definition(tmp_path_factory.getbasetemp(), text).steps
    except InvalidFile as error:
        steps = error.problems
    assert steps


@settings(deadline=20_000)
@given(st.text("inputs.zone steps'\"()[]{}+-*/&|!=<>?:,1`", max_size=60))
def test_any_expression_is_loaded_or_refused(tmp_path_factory: pytest.TempPathFactory, inner: str) -> None:
    quoted = inner.replace("'", "''")
    head = f"{HEAD}inputs: {{zone: {{type: string}}}}\n"
    said = said_of(
        tmp_path_factory.getbasetemp(), f"{head}steps: [{{id: a, uses: set, with: {{value: '${{{{ {quoted} }}}}'}}}}]\n"
    )
    assert all(re.match(r"4:\d+: ", line) for line in said.splitlines())


def test_a_line_with_a_secret_is_not_shown(tmp_path: Path) -> None:
    lines = (
        "inputs: {pass: {type: secret, default: hunter2, minimum: many}}",
        "steps:",
        "  - {id: a, uses: set, with: {value: {db_password: hunter2}}, usess: x}",
        "  - {id: b, uses: set, with: {value: {'apiKey': 'hunter2'}}, usess: x}",
        "  - {id: c, uses: set, with: {value: {token: '${{ inputs.pas }}'}}}",
    )
    with pytest.raises(InvalidFile) as caught:
        load(tmp_path, HEAD + "\n".join(lines))
    assert len(caught.value.problems) == 4
    assert "hunter2" not in "".join(caught.value.excerpts)
    assert [excerpt[:5].strip() for excerpt in caught.value.excerpts] == ["", "", "", "7"]
    # A choice that is secret is not told either.
    text = (
        HEAD + "inputs: {pass: {type: secret, enum: [hunter1], default: hunter2}}\nsteps: [{id: a, uses: schedule}]\n"
    )
    assert said_of(tmp_path, text) == "3:57: default must be one of its choices\n"
