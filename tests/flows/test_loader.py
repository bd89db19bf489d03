from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import InvalidFile
from slipway.flows.definition import Definition, Reference, Retry, TaskSignature
from slipway.flows.loader import find_definition, known_workflows, load_definition
from slipway.flows.tasks.catalog import CATALOG as TASKS

CATALOG = {
    "schedule": TaskSignature(frozenset()),
    "claim": TaskSignature(frozenset({"placement"})),
    "http": TaskSignature(frozenset({"url"}), frozenset({"method"})),
}
BAD = Path(__file__).with_name("bad_workflows.txt").read_text()


def _load(directory: Path, text: str) -> Definition:
    file = directory / "w.yaml"
    file.write_text(text, newline="")
    return load_definition(file, CATALOG)


def _cases() -> list[tuple[str, str, str]]:
    """Blocks of `=== name`, the text, `>>>`, and the problems without the file's name."""
    blocks = [block.partition("\n") for block in BAD.split("=== ")[1:]]
    return [(name, *rest.partition(">>>\n")[::2]) for name, _, rest in blocks]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in _cases()], ids=[case[0] for case in _cases()])
def test_every_problem_is_told_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        _load(tmp_path, text)
    prefix = f"{tmp_path / 'w.yaml'}:"
    assert "".join(f"{problem.removeprefix(prefix)}\n" for problem in caught.value.problems) == expected


def test_a_definition_has_what_the_file_says(tmp_path: Path) -> None:
    text = """\
schema: 1
name: with-dns
inputs: {instance: {type: instance, required: true}}
defaults: {timeout: 2m}
steps:
  - {id: first, uses: schedule, retry: {max_attempts: 4, delay: 1s, backoff: 3, errors: [TransientNetworkError]}}
  - {id: left, uses: claim, for_each: "${{ steps.first.outputs.hosts }}", with: {placement: "${{ item }}"}}
  - {id: right, uses: http, needs: [first], timeout: 500ms, with: {url: "${{steps.first.outputs[0].a_b[12]}}"}}
  - {id: last, uses: http, needs: [left, right], with: {url: "http://x", method: "${{ inputs.instance.name }}"}}
"""
    definition = _load(tmp_path, text)
    first, left, right, last = definition.steps
    assert (definition.name, definition.timeout) == ("with-dns", 120.0)
    assert first.retry == Retry(4, delay=1.0, backoff=3.0, errors=("TransientNetworkError",))
    assert (first.needs, left.needs, right.needs, last.needs) == ((), ("first",), ("first",), ("left", "right"))
    assert left.for_each == Reference(("steps", "first", "outputs", "hosts"))
    assert left.arguments == (("placement", Reference(("item",))),)
    assert right.arguments == (("url", Reference(("steps", "first", "outputs", "0", "a_b", "12"))),)
    assert right.timeout == 0.5
    assert last.arguments == (("url", "http://x"), ("method", Reference(("inputs", "instance", "name"))))
    assert last.position == f"{tmp_path / 'w.yaml'}:9:5"


def test_what_comes_before_is_followed_through_all_steps(tmp_path: Path) -> None:
    steps = "".join(f"  - {{id: s{number}, uses: schedule}}\n" for number in range(300))
    text = f"schema: 1\nname: w\nsteps:\n{steps}"
    last = '  - {id: last, uses: claim, with: {placement: "${{ steps.s0.outputs }}"}}\n'
    assert len(_load(tmp_path, text + last).steps) == 301


def test_the_workflows_that_come_along_are_right() -> None:
    signatures = {name: task.signature for name, task in TASKS.items()}
    assert known_workflows() == ("build-instance",)
    for name in known_workflows():
        assert load_definition(find_definition(name), signatures).name == name


def test_too_many_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"w\.yaml:4:3: a workflow has at most 500 steps, not 501$"):
        _load(
            tmp_path,
            "schema: 1\nname: w\nsteps:\n" + "".join(f"  - {{id: s{n}, uses: schedule}}\n" for n in range(501)),
        )


@settings(deadline=20_000)
@given(st.integers(0, len(BAD)), st.integers(0, 400), st.text('ab1 :-[]{},.$\n"&*!', max_size=5))
def test_any_text_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, inserted: str
) -> None:
    piece = BAD[start : start + length]
    try:
        steps: object = _load(
            tmp_path_factory.getbasetemp(), piece[: length // 2] + inserted + piece[length // 2 :]
        ).steps
    except InvalidFile as error:
        steps = error.problems
    assert steps
