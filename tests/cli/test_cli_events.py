"""`slipway events`, for people and programs, once and on and on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.waiting import PATIENCE

Call = Callable[..., Result]


@pytest.fixture
def built(slipway: Call, run_file: Callable[..., str]) -> str:
    """The run file, of which all was built."""
    file = run_file()
    assert slipway("run", file).exit_code == 0
    return file


def events(done: Result) -> list[dict[str, object]]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_everything_is_told_in_order_and_from_a_number_on(slipway: Call, built: str) -> None:
    found = events(slipway("events", "--output", "json"))
    assert [one["seq"] for one in found] == list(range(1, len(found) + 1))
    assert events(slipway("events", "--after", "9", "--output", "json")) == found[9:]
    web = [one for one in found if one["name"] == "web"]
    assert events(slipway("events", "--instance", "web", "--output", "json")) == web
    assert set(web[0]) == {
        *(
            "seq",
            "at",
            "began_at",
            "type",
            "run_id",
            "instance_id",
            "step",
            "slot",
            "attempt",
            "host",
            "state",
            "detail",
        ),
        *("name", "project"),
    }


def test_people_see_one_line_an_event(slipway: Call, built: str) -> None:
    shown = slipway("events", "--instance", "web").stdout.splitlines()
    assert len(shown) == len(events(slipway("events", "--instance", "web", "--output", "json")))
    assert shown[0].endswith("web  instance.create -> BUILDING/SCHEDULING")
    assert any(line.endswith("web  step.done spawn on node-1") for line in shown)


def test_who_follows_sees_what_comes_until_ctrl_c(
    slipway: Call, built: str, command: list[str], environment: dict[str, str]
) -> None:
    last = events(slipway("events", "--output", "json"))[-1]["seq"]
    following = subprocess.Popen(
        [*command, "events", "--follow", "--after", str(last), "--output", "json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert slipway("delete", "gate").exit_code == 0
        assert following.stdout is not None
        types = []
        while "instance.deleted" not in types:
            types.append(json.loads(following.stdout.readline())["type"])
        assert types[0] == "instance.delete"
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=PATIENCE)
    finally:
        following.kill()
        following.communicate()
    assert (following.returncode, out, err) == (130, "", "")


def test_a_reader_that_goes_ends_it_quietly(built: str, command: list[str], environment: dict[str, str]) -> None:
    line = f"{shlex.join([*command, 'events', '--follow'])} | head -n 1"
    assert piped(line, environment) == (1, "")


@pytest.mark.parametrize(
    "follow", [("events", "--follow", "--after", "1000000"), ("watch",), ("list", "--watch")], ids=" ".join
)
def test_a_reader_that_goes_while_nothing_happens_ends_it_too(
    built: str, command: list[str], environment: dict[str, str], follow: tuple[str, ...]
) -> None:
    """Without a word to write it would never hear of it, and stay for good."""
    lines, err = piped(f"{shlex.join([*command, *follow])} | sleep 0.2", environment)
    assert (lines, err) == (0, "")


def piped(line: str, environment: dict[str, str]) -> tuple[int, str]:
    """How many lines come out of the shell's pipeline, and what is said beside."""
    done = subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.stdout.count("\n"), done.stderr


@pytest.mark.parametrize("words", [("--after", "-1"), ("--after", "x"), ("--instance",)])
def test_what_makes_no_sense_is_bad_usage(slipway: Call, built: str, words: tuple[str, ...]) -> None:
    assert slipway("events", *words).exit_code == 2


def test_a_number_beyond_all_is_no_error(slipway: Call, built: str) -> None:
    assert events(slipway("events", "--after", str(2**80), "--output", "json")) == []


def test_an_instance_that_is_not_there(slipway: Call, built: str) -> None:
    refused = slipway("events", "--instance", "nobody")
    assert (refused.exit_code, refused.stderr) == (1, "slipway: no instance nobody is on record\n")
