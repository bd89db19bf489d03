from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.errors import InvalidFile
from slipway.runfile import load, loads
from slipway.yamlfile.document import MAX_DEPTH, MAX_PROBLEMS, MAX_SIZE, parse, read
from slipway.yamlfile.mistakes import Position


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("", None),
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("+7", 7),
        ("-7", -7),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("'1'", "1"),
        ('"a\\tb"', "a\tb"),
        ("\u0661", "\u0661"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(scalar: str, value: Any) -> None:
    found = parse(f"a: {scalar}\n", "f").value["a"]
    assert (type(found), found) == (type(value), value)


def test_keys_are_texts_as_they_stand() -> None:
    assert parse("no: 1\n1: 2\ntrue: 3\n0x1: 4\n", "f").value == {"no": 1, "1": 2, "true": 3, "0x1": 4}


def test_block_texts_keep_their_lines() -> None:
    assert parse("a: |\n  #cloud-config\n  b: c\n", "f").value == {"a": "#cloud-config\nb: c\n"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_positions_count_lines_and_columns_from_one(end: str) -> None:
    document = parse(end.join(["# comment", "a:", "  - é: [1, 22]", "  - 3", ""]), "f")
    assert document.value == {"a": [{"é": [1, 22]}, 3]}
    assert document.key_position(("a", 0, "é")) == Position(3, 5)
    assert document.position(("a", 0, "é", 1)) == Position(3, 12)
    assert document.position(("a", 0, "é", 7, "far")) == Position(3, 8)
    assert document.where(("a",)) == "f:2:1"


def test_both_parsers_of_pyyaml_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "a: {b: [1, no, 'x']}\n",
        "a: &x 1\nb: *x\n<<: {}\na: !t 2\n? *x\n: 1\n",
        "a:\n\t- 1\n",
        "a: [1\n",
        "- - 1\n- ",
    ]
    outcomes = []
    for _ in range(2):
        outcomes.append([_outcome(text) for text in texts])
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert [where for where, _ in outcomes[0]] == [where for where, _ in outcomes[1]]


def _outcome(text: str) -> tuple[object, str]:
    """The tree, or where the problems are; and the parser's words, which differ."""
    try:
        document = parse(text, "f")
        document.finish()
    except InvalidFile as error:
        return [problem.split(": ")[0] for problem in error.problems], str(error)
    return document.value, ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ": the file is empty"),
        (b"# nothing\n", ": the file is empty"),
        (b"---\n...\n", ": the file is empty"),
        (b"\xef\xbb\xbfschema: 1\n", ":1:1: the file begins with a byte order mark: save it as UTF-8 without one"),
        ("schema: 1\n".encode("utf-16"), ":1:1: the file is UTF-16: save it as UTF-8"),
        (b"schema: 1\nproject: caf\xe9\n", ":2:13: the file is not UTF-8 (byte 0xe9)"),
        (b"\x7fELF\x02\x01", ":1:1: character U+007F is not allowed here"),
        (b"a: 1\r\nb: \x00\n", ":2:4: character U+0000 is not allowed here"),
        ("a: 1\u2028b: 2\n".encode(), ":1:5: character U+2028 is not allowed here"),
        ("a: \ufeff1\n".encode(), ":1:4: character U+FEFF is not allowed here"),
        (b"#" * (MAX_SIZE + 1), ": the file is larger than 4096 KiB"),
        ("é".encode() * MAX_SIZE, ": the file is larger than 4096 KiB"),
        (b"[" * 500, f":1:{MAX_DEPTH + 1}: nested more than {MAX_DEPTH} levels deep"),
    ],
)
def test_a_file_that_cannot_be_read_has_one_clear_problem(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "demo.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidFile) as caught:
        load(file)
    assert caught.value.problems == (f"{file}{problem}",)


def test_a_depth_that_the_parser_itself_refuses_is_one_clear_problem(tmp_path: Path) -> None:
    """libyaml looks ahead for brackets, and of late has a limit of 1000 of them before we see the first."""
    file = tmp_path / "demo.yaml"
    file.write_bytes(b"[" * 100_000)
    with pytest.raises(InvalidFile, match=f"^{re.escape(str(file))}:1:[0-9]+: .*nest") as caught:
        load(file)
    assert len(caught.value.problems) == 1


def test_what_is_no_readable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"/none\.yaml: cannot be read: No such file or directory$"):
        read(tmp_path / "none.yaml")
    with pytest.raises(InvalidFile, match=r": cannot be read: Is a directory$"):
        read(tmp_path)
    with pytest.raises(InvalidFile, match="cannot be read: "):
        read(Path("a\0b"))


@contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody who may not read everything, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").touch(mode=0)
    with unprivileged(), pytest.raises(InvalidFile, match="cannot be read: Permission denied"):
        read(tmp_path / "demo.yaml")


def test_a_text_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidFile, match=r"^f:1:4: character U\+D800 is not allowed here$"):
        parse("a: \ud800", "f")


def test_of_very_many_problems_the_first_are_told() -> None:
    with pytest.raises(InvalidFile) as caught:
        loads("schema: 1\n" + "".join(f"key-{number}: 1\n" for number in range(MAX_PROBLEMS + 5)), "f")
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1] == "f: and 5 problems more"


def test_user_data_files_are_bounded_and_utf_8(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes("é".encode() * 40_000)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "fits").write_bytes(b"x" * 64 * 1024)
    (tmp_path / "run.yaml").write_text(
        "schema: 1\nflavors: {f: {vcpus: 1, memory: 1GiB, disk: 1GiB}}\nimages: {i: {path: a}}\ninstances:\n"
        "  a: {flavor: f, image: i, user_data: {file: large}}\n"
        "  b: {flavor: f, image: i, user_data: {file: latin}}\n"
        "  c: {flavor: f, image: i, user_data: {file: fits}}\n"
        f"  d: {{flavor: f, image: i, user_data: {'x' * 65537}}}\n"
    )
    with pytest.raises(InvalidFile) as caught:
        load(tmp_path / "run.yaml")
    assert [problem.removeprefix(f"{tmp_path}/run.yaml:") for problem in caught.value.problems] == [
        "5:46: user_data is larger than 64 KiB",
        '6:46: user_data file "latin" is not UTF-8',
        "8:39: user_data is larger than 64 KiB",
    ]
