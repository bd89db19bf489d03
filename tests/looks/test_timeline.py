"""The timeline: what is in it, on the terminal, as data, and as a page in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.looks.drawing import Status
from slipway.looks.page import as_page
from slipway.looks.timeline import STATE, STEP, UNDO, WAIT, Bar, Mark, Timeline, timeline_of
from slipway.model.record import RecordedEvent
from tests.looks import chromium
from tests.looks.test_graph import HOSTILE, SECRET

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(*events: tuple[float, str, dict[str, Any]]) -> Timeline:
    """The timeline of events at so many seconds."""
    made = []
    for number, (at, type_, more) in enumerate(events):
        since = more.pop("since", None)
        began_at = None if since is None else NOW + timedelta(seconds=since)
        who: dict[str, Any] = {"instance_id": "i"} if type_.startswith("instance") else {"run_id": "r"}
        made.append(RecordedEvent(number, NOW + timedelta(seconds=at), type_, began_at, **who, **more))
    return timeline_of("it", made)


Told: TypeAlias = tuple[float, str, dict[str, Any]]


def step(type_: str, at: float, name: str = "a", slot: int | None = 0, **more: Any) -> Told:
    return at, f"step.{type_}", {"step": name, "slot": slot, **more}


def run(move: str, at: float, state: str, detail: str = "") -> Told:
    return at, f"run.{move}", {"state": state, "detail": detail}


def test_a_step_lasts_from_its_intention_to_its_end() -> None:
    bars = told(step("intended", 1), step("done", 3, host="node-1")).steps
    assert bars == [Bar(STEP, "a", 0, 2, Status.DONE, host="node-1")]


def test_a_step_without_an_intention_began_when_its_row_says() -> None:
    assert told(step("done", 3, since=2.5)).steps == [Bar(STEP, "a", 0, 0.5, Status.DONE)]


def test_what_is_tried_again_and_taken_up_again_is_marked() -> None:
    bars = told(
        step("intended", 0),
        step("retry", 1, detail="again in 2 s: E: no"),
        step("intended", 3),
        step("intended", 5),
        step("done", 6),
    ).steps
    marks = (Mark(1, "again in 2 s: E: no"), Mark(5, "taken up again"))
    assert bars == [Bar(STEP, "a", 0, 6, Status.DONE, marks=marks)]


def test_a_step_that_is_only_recorded_begins_with_its_first_try() -> None:
    (bar,) = told(step("retry", 1), step("done", 4, since=1)).steps
    assert (bar.start, bar.end, bar.marks) == (0, 3, (Mark(0, ""),))


def test_an_error_ends_what_was_under_way_and_undos_come_one_after_the_other() -> None:
    bars = told(
        step("done", 1, "a", since=0),
        step("intended", 1, "b"),
        step("error", 3, "b", None, detail="E: no"),
        step("undone", 4, "b"),
        step("stuck", 6, "a", detail="E: r/b/0 holds it"),
    ).steps
    assert bars == [
        Bar(STEP, "a", 0, 1, Status.DONE),
        Bar(STEP, "b", 1, 3, Status.FAILED, detail="E: no"),
        Bar(UNDO, "b", 3, 4, Status.UNDONE),
        Bar(UNDO, "a", 4, 6, Status.STUCK, detail="E: b/0 holds it"),
    ]


def test_items_are_numbered_and_each_attempt_is_a_bar() -> None:
    bars = told(*(step("done", at, slot=at % 2, attempt=1 + at // 2, since=at) for at in range(4))).steps
    assert [(bar.name, bar.attempt) for bar in bars] == [("a 0", 1), ("a 1", 1), ("a 0", 2), ("a 1", 2)]


def test_no_time_passes_while_nobody_is_at_it() -> None:
    timeline = told(
        run("create", 0, "RUNNING"),
        step("intended", 1),
        run("pause", 2, "PAUSED", "an approval"),
        run("go_on", 100_002, "RUNNING"),
        step("done", 100_003),
        run("succeed", 100_004, "SUCCEEDED"),
    )
    assert timeline.length == 4
    assert [(bar.kind, bar.name, bar.start, bar.seconds) for bar in timeline.states] == [
        (STATE, "RUNNING", 0, 2),
        (WAIT, "PAUSED", 2, 100_000),
        (STATE, "RUNNING", 2, 2),
        (WAIT, "SUCCEEDED", 4, None),
    ]
    assert timeline.states[1].detail == "an approval"
    assert [(bar.start, bar.end) for bar in timeline.steps] == [(1, 3)]


def test_what_is_begun_again_after_a_pause_is_marked_where_it_was() -> None:
    timeline = told(
        run("create", 0, "RUNNING"),
        step("intended", 1, "nap"),
        step("intended", 1, "web"),
        run("pause", 2, "PAUSED"),
        step("retry", 3, "web"),
        run("go_on", 102, "RUNNING"),
        step("intended", 1, "nap"),
        step("done", 103, "nap"),
        step("done", 102, "web"),
    )
    marks = {bar.name: [mark.at for mark in bar.marks] for bar in timeline.steps}
    assert marks == {"nap": [2], "web": [2]}


def test_what_goes_on_has_no_end() -> None:
    timeline = told((0, "instance.create", {"state": "BUILDING/SCHEDULING"}), step("intended", 1))
    assert [(bar.name, bar.end, bar.status) for bar in timeline.bars] == [
        ("BUILDING/SCHEDULING", None, None),
        ("a", None, Status.GOING_ON),
    ]


def test_a_clock_that_was_set_back_makes_no_bar_negative() -> None:
    timeline = told(run("create", 9, "RUNNING"), step("intended", 5), step("done", 2), run("fail", 1, "REVERTING"))
    assert all(bar.end is None or bar.end >= bar.start >= 0 for bar in timeline.bars)


def test_without_an_event_there_is_nothing() -> None:
    with pytest.raises(ValueError, match="no event"):
        timeline_of("it", [])


# --- the page -----------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """All tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> Timeline:
    return told(
        run("create", 0, HOSTILE, HOSTILE),
        step("intended", 1, HOSTILE, host=HOSTILE),
        step("retry", 2, HOSTILE, detail=f"{HOSTILE} {SECRET} @@ROWS@@"),
        step("error", 3, HOSTILE, None, detail=SECRET),
    )


def test_nothing_gets_out_of_its_place_on_the_page() -> None:
    page = as_page(timeline_of(HOSTILE, [RecordedEvent(1, NOW, "run.create", run_id="r", state="RUNNING")]))
    assert "@@TITLE" not in page
    page = as_page(hostile())
    tags = Tags(page)
    assert {tag for tag, _ in tags.found} == {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "ul", "li", "i", "b", "div", "span"),
        *("details", "summary", "dl", "dt", "dd"),
    }
    assert not [attrs for _, attrs in tags.found if {"src", "href", "onload", "onclick"} & attrs.keys()]
    assert tags.text.count("@@ROWS@@") == 1
    assert "hunter2" not in page
    assert "abc123" not in page
    assert "\x1b" not in page


BARS = """(page, window) => [...page.querySelectorAll(".track i")].map(bar => {
  const box = bar.getBoundingClientRect(), track = bar.parentElement.getBoundingClientRect();
  return [(box.left - track.left) / track.width, box.width / track.width, window.getComputedStyle(bar).backgroundColor];
})"""
KEYS = """(page, window) => {
  const rows = [...page.querySelectorAll("details")];
  const first = rows[0].querySelector("summary");
  first.focus();
  const focused = page.activeElement === first, closed = rows[0].open;
  first.click();
  const reach = rows.every(row => row.querySelector("summary").tabIndex === 0);
  return {focused, closed, open: rows[0].open, reach, seen: rows[0].querySelector("dl").innerText.length > 0,
          wide: page.documentElement.scrollWidth - page.documentElement.clientWidth,
          colours: [window.getComputedStyle(page.body).backgroundColor, window.getComputedStyle(page.body).color],
          loaded: window.performance.getEntriesByType("resource").length};
}"""
needs_chromium = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())


@needs_chromium
def test_a_browser_shows_each_bar_where_it_belongs(tmp_path: Path) -> None:
    timeline = told(
        run("create", 0, "RUNNING"),
        step("done", 4, "a", since=2),
        step("done", 6, "b", since=4),
        run("fail", 8, "FAILED"),
    )
    running, a, b, failed = chromium.ask(as_page(timeline), BARS, tmp_path)
    for found, (left, width) in ((running, (0, 1)), (a, (0.25, 0.25)), (b, (0.5, 0.25))):
        assert found[0] == pytest.approx(left, abs=0.01)
        assert found[1] == pytest.approx(width, abs=0.01)
    assert a[2] == b[2] != running[2]
    assert failed[0] + failed[1] <= 1.01


@needs_chromium
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_can_be_used_with_keys_wide_and_narrow_in_light_and_dark(
    tmp_path: Path, width: int, dark: bool
) -> None:
    found = chromium.ask(as_page(hostile()), KEYS, tmp_path, width=width, dark=dark)
    colours = found.pop("colours")
    assert found == {
        **{"focused": True, "closed": False, "open": True, "reach": True, "seen": True},
        **{"wide": 0, "loaded": 0},
    }
    background, text = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert (background < text) is dark


# --- the command --------------------------------------------------------------------------------------------------

RUN = """\
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {fail: [spawn]}}
  node-2: {vcpus: 4, memory: 16GiB, disk: 500GiB, compute: sim}
networks: {net: {subnets: {subnet: {cidr: 192.168.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {kernel: ./vmlinux, initrd: ./initrd.gz}}
instances: {web: {flavor: small, image: tiny, networks: [net, net]}}
"""


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., Result]:
    """The command line, on a state in which an instance was built on its second host."""

    def call(*args: str) -> Result:
        return CliRunner().invoke(main, args, env={"SLIPWAY_STATE": str(tmp_path / "state")}, prog_name="slipway")

    (tmp_path / "demo.yaml").write_text(RUN)
    assert call("run", str(tmp_path / "demo.yaml")).exit_code == 0
    return call


def test_a_build_is_shown_with_its_attempts_as_text_data_and_page(typed: Callable[..., Result], tmp_path: Path) -> None:
    shown = typed("timeline", "web")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("web: ACTIVE\n")
    spawns = [line.split() for line in shown.stdout.splitlines() if " spawn " in line]
    assert [line[1] for line in spawns] == ["spawn", "undo", "spawn"]
    assert all("█" in " ".join(line) for line in spawns)
    data = json.loads(typed("timeline", "web", "--output", "json").stdout)
    bars = [(b["kind"], b["status"], b["host"]) for b in data["bars"] if b["name"] == "spawn"]
    assert bars == [
        ("step", "failed", "node-1"),
        ("undo", "undone", "node-1"),
        ("step", "done", "node-2"),
    ]
    page = tmp_path / "web.html"
    assert typed("timeline", "web", "--html", str(page)).exit_code == 0
    assert Tags(page.read_text()).text.count("undo spawn") == 1


def test_who_is_neither_instance_nor_run_is_said_to_be(typed: Callable[..., Result], tmp_path: Path) -> None:
    refused = typed("timeline", "nobody")
    assert refused.exit_code == 1
    assert refused.stderr == "slipway: no instance nobody is on record, and no run nobody is on record\n"
    refused = typed("timeline", "web", "--html", str(tmp_path / "no" / "page.html"))
    assert refused.exit_code == 2
    assert "page.html cannot be written: No such file or directory" in refused.stderr
