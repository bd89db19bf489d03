from __future__ import annotations

from pathlib import Path

import pytest

from slipway.errors import InvalidFile
from slipway.runfile import loads

BASE = """\
schema: 1
flavors: {small: {vcpus: 1, memory: 1GiB, disk: 1GiB}}
images: {tiny: {path: tiny.qcow2}}
"""


def _cases() -> list[tuple[str, str, str]]:
    """Blocks of `=== name`, the text (`@base` stands for BASE), `>>>`, and the problems without the file's name."""
    content = Path(__file__).with_name("bad_run_files.txt").read_text()
    cases = []
    for block in content.split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        text, _, expected = rest.partition(">>>\n")
        cases.append((name, text.replace("@base\n", BASE), expected))
    return cases


CASES = _cases()


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_problem_is_told_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        loads(text, "f")
    assert "".join(f"{problem.removeprefix('f:')}\n" for problem in caught.value.problems) == expected


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) >= 80
