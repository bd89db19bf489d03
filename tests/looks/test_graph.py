"""Pictures of workflows and states: what is in them, that each format can be read, and no name gets out."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.flows.definition import (
    Cel,
    Definition,
    Inverse,
    ListValue,
    MapValue,
    OnError,
    Reference,
    Retry,
    StepDefinition,
)
from slipway.flows.tasks.catalog import CATALOG
from slipway.looks.dot import as_dot
from slipway.looks.drawing import Drawing, Edge, Node, Status
from slipway.looks.layout import lay_out
from slipway.looks.mermaid import as_mermaid
from slipway.looks.svg import as_svg
from slipway.looks.transitions import draw_states
from slipway.looks.workflow import draw_workflow
from slipway.states.machines import TRANSITIONS

SVG = "{http://www.w3.org/2000/svg}"
FORMATS: dict[str, Callable[[Drawing], str]] = {"mermaid": as_mermaid, "dot": as_dot, "svg": as_svg}

EVERYTHING = Definition(
    "all-of-it",
    (
        StepDefinition("claim", "claim", name="Take a host"),
        StepDefinition(
            "ports",
            "create-port",
            needs=("claim",),
            for_each=Reference(("steps", "network", "outputs", "0")),
            parallel=4,
            condition=Cel("inputs.zone != ''"),
            retry=Retry(3),
        ),
        StepDefinition("record", "wait", needs=("claim",), on_error=OnError.CONTINUE, revert=Inverse("wait-ready")),
        StepDefinition("other", "/home/bob/other.yaml", needs=("ports", "record")),
    ),
    finals=(StepDefinition("tell", "wait"), StepDefinition("tell-more", "wait", needs=("tell",))),
)

HOSTILE = '"]; end </text><script>alert(1)</script> --> n0 %%{init}%% `code` \\N & \x1b[2J \u202e \nn9 #quot; ${{ }}'
SECRET = "https://bob:hunter2@dns.example.org/?token=abc123"


def lines(drawing: Drawing) -> dict[str, tuple[str, ...]]:
    return {node.id: node.lines for node in drawing.nodes}


def test_a_workflow_shows_what_each_step_needs_leaves_and_is_undone_by() -> None:
    drawing = draw_workflow(EVERYTHING, CATALOG)
    assert lines(drawing) == {
        "claim": ("\u201cTake a host\u201d", "uses claim", "effect: claim, undone by its own undo"),
        "ports": (
            "uses create-port",
            "if inputs.zone != ''",
            "for each of steps.network.outputs[0], 4 at once",
            "retry: 3 attempts",
            "effect: port, undone by its own undo",
        ),
        "record": ("uses wait", "on error: continue", "effect: running, undone by wait-ready (revert)"),
        "other": ("uses other.yaml", "undone by the steps of other.yaml"),
        "tell": ("uses wait", "nothing to undo"),
        "tell-more": ("uses wait", "nothing to undo"),
    }
    needs = {(edge.source, edge.target) for edge in drawing.edges if not edge.faint}
    assert needs == {
        ("claim", "ports"),
        ("claim", "record"),
        ("ports", "other"),
        ("record", "other"),
        ("tell", "tell-more"),
    }
    assert [edge for edge in drawing.edges if edge.faint] == [Edge("other", "tell", faint=True)]
    assert {node.id for node in drawing.nodes if node.group == "finally"} == {"tell", "tell-more"}


def test_what_is_in_lists_and_maps_is_not_drawn() -> None:
    users = ListValue((MapValue((("name", "bob"), ("password", "hunter2"))), MapValue((("name", "eve"),))))
    steps = (StepDefinition("a", "set", for_each=users), StepDefinition("b", "set", for_each=users.items[0]))
    found = lines(draw_workflow(Definition("users", steps), CATALOG))
    assert [line[1] for line in found.values()] == ["for each of a list of 2", "for each of a map of 2"]


def test_every_transition_is_an_arrow_of_the_states() -> None:
    drawing = draw_states()
    arrows = {(edge.source, edge.target): set(edge.label.split(", ")) for edge in drawing.edges}
    for row in TRANSITIONS:
        for source in row.sources:
            assert row.event.value in arrows[str(source), str(row.target)]
    assert sum(map(len, arrows.values())) == sum(len(row.sources) for row in TRANSITIONS)


# --- formats ------------------------------------------------------------------------------------------------------


def hostile() -> Drawing:
    nodes = tuple(
        Node(f"{HOSTILE}{number}", HOSTILE, (SECRET,), status, group=HOSTILE if number else "")
        for number, status in enumerate(Status)
    )
    return Drawing(HOSTILE, nodes, tuple(Edge(one.id, nodes[0].id, HOSTILE) for one in nodes))


@pytest.mark.parametrize("written", FORMATS.values(), ids=FORMATS)
def test_no_secret_and_no_control_character_is_in_a_picture(written: Callable[[Drawing], str]) -> None:
    text = written(hostile())
    assert "hunter2" not in text
    assert "abc123" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "<script" not in text


def test_svg_is_xml_with_each_name_as_it_is() -> None:
    root = ElementTree.fromstring(as_svg(hostile()))
    assert root.tag == f"{SVG}svg"
    assert not [one for one in root.iter() if one.tag not in {f"{SVG}{tag}" for tag in _SVG_TAGS}]
    titles = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "title"]
    assert len(titles) == len(Status)
    assert {(title or "")[:20] for title in titles} == {HOSTILE[:20]}
    assert not re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!#head)", as_svg(hostile())), "nothing is loaded"


_SVG_TAGS = ("svg", "title", "style", "defs", "marker", "path", "rect", "text", "g")


def test_mermaid_has_a_line_for_each_thing_and_no_sign_that_means_something() -> None:
    for line in as_mermaid(hostile()).splitlines():
        assert re.fullmatch(
            r"flowchart TB|  (subgraph g\[Q\]|end|n\d+\[Q\]|n\d+ (-->|-\.->)(\|Q\|)? n\d+|class(Def)? .*)|"
            r"    n\d+\[Q\]",
            re.sub(r'"(?:[^"<>`\\{}]|<br/>)*"', "Q", line),
        ), line


@pytest.mark.skipif(shutil.which("dot") is None, reason="not installed: dot (graphviz)")
@pytest.mark.parametrize("drawing", [hostile(), draw_workflow(EVERYTHING, CATALOG), draw_states()])
def test_graphviz_reads_the_dot_and_finds_what_was_meant(drawing: Drawing) -> None:
    done = subprocess.run(["dot", "-Tjson0"], input=as_dot(drawing), text=True, capture_output=True, check=True)
    assert not done.stderr
    read = json.loads(done.stdout)
    boxes_ = [one["label"] for one in read["objects"] if re.fullmatch(r"n\d+", one["name"])]
    assert [html.unescape(label).replace("\\\\", "\\").split("\\n")[0] for label in boxes_] == [
        node.text[0] for node in drawing.nodes
    ]
    assert len([one for one in read["objects"] if "nodes" not in one and "subgraphs" not in one]) == len(drawing.nodes)
    assert len(read.get("edges", [])) == len(drawing.edges)


# --- layout -------------------------------------------------------------------------------------------------------


def boxes(count: int) -> dict[str, tuple[float, float]]:
    return {str(number): (60.0 + number % 7 * 20, 30.0 + number % 3 * 16) for number in range(count)}


@pytest.mark.parametrize(
    "edges",
    [
        [],
        [(n, n + 1) for n in range(19)],
        [(0, n) for n in range(1, 20)],
        [(a, b) for a in range(20) for b in range(a + 1, 20)],
        [(n, (n + 1) % 20) for n in range(20)],
        [(a, b) for a in range(6) for b in range(6)],
    ],
    ids=["none", "chain", "star", "all", "circle", "both ways"],
)
@pytest.mark.parametrize("label", [None, (50.0, 16.0)])
def test_boxes_do_not_overlap_and_arrows_begin_and_end_at_theirs(
    edges: list[tuple[int, int]], label: tuple[float, float] | None
) -> None:
    sizes = boxes(20)
    arrows = [(str(source), str(target)) for source, target in edges]
    layout = lay_out(sizes, arrows, [label] * len(arrows))
    placed = [(layout.centres[name], size) for name, size in sizes.items()]
    for number, ((x, y), (width, height)) in enumerate(placed):
        assert width / 2 <= x + 0.01
        assert x + width / 2 <= layout.size[0] + 0.01
        assert y + height / 2 <= layout.size[1] + 0.01
        for (other_x, other_y), (other_width, other_height) in placed[:number]:
            apart = abs(x - other_x) >= (width + other_width) / 2 or abs(y - other_y) >= (height + other_height) / 2
            assert apart
    for (source, target), path in zip(arrows, layout.paths, strict=True):
        if source == target:
            assert path == ()
            continue
        for name, (x, y) in ((source, path[0]), (target, path[-1])):
            centre, size = layout.centres[name], sizes[name]
            assert x == centre[0]
            assert abs(y - centre[1]) == size[1] / 2


def test_the_largest_workflow_is_drawn_at_once() -> None:
    steps = tuple(
        StepDefinition(f"s{n}", "wait", needs=tuple(f"s{k}" for k in {n // 2, 0} if k < n)) for n in range(500)
    )
    drawing = draw_workflow(Definition("large", steps), CATALOG)
    assert len(ElementTree.fromstring(as_svg(drawing)).findall(f"{SVG}g")) == 500


# --- the command --------------------------------------------------------------------------------------------------

RUN = """\
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {{{simulate}}}}}
networks: {{net: {{subnets: {{subnet: {{cidr: 192.168.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{kernel: ./vmlinux, initrd: ./initrd.gz}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net]}}}}
"""


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., Result]:
    def call(*args: str) -> Result:
        return CliRunner().invoke(main, args, env={"SLIPWAY_STATE": str(tmp_path / "state")}, prog_name="slipway")

    return call


def statuses(typed: Callable[..., Result], path: Path, simulate: str = "") -> dict[str, str]:
    file = path / "demo.yaml"
    file.write_text(RUN.format(simulate=simulate))
    typed("run", str(file))
    shown = typed("graph", "--instance", "web", "--output", "json")
    assert shown.exit_code == 0, shown.output
    return {node["id"]: node["status"] for node in json.loads(shown.stdout)["nodes"] if node["status"]}


def test_an_instance_that_was_built_has_all_steps_done(typed: Callable[..., Result], tmp_path: Path) -> None:
    found = statuses(typed, tmp_path)
    assert set(found.values()) == {"done", "skipped"}
    skipped = {step for step, status in found.items() if status == "skipped"}
    assert skipped <= {"seed", "plugs", "filters", "dhcp-ports", "dhcp"}


def test_what_failed_and_what_was_undone_is_coloured(typed: Callable[..., Result], tmp_path: Path) -> None:
    found = statuses(typed, tmp_path, "fail: [spawn]")
    assert found["spawn"] == "failed"
    assert {found[step] for step in ("claim", "ports", "bindings", "disks", "definition")} == {"undone"}
    assert "wait" not in found
    picture = typed("graph", "--instance", "web", "--format", "svg").stdout
    assert ElementTree.fromstring(picture).find(f"{SVG}g[@class='failed']/{SVG}rect") is not None


def test_what_cannot_be_undone_is_stuck(typed: Callable[..., Result], tmp_path: Path) -> None:
    found = statuses(typed, tmp_path, "fail: [spawn, delete_disk]")
    assert found["disks"] == "stuck"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("what", [("build-instance",), ("--states",)])
def test_each_picture_is_written_in_each_format(
    typed: Callable[..., Result], what: tuple[str, ...], format_: str
) -> None:
    shown = typed("graph", *what, "--format", format_)
    assert shown.exit_code == 0
    assert shown.stdout.startswith({"mermaid": "flowchart TB\n", "dot": "digraph ", "svg": "<svg "}[format_])


@pytest.mark.parametrize("words", [(), ("build-instance", "--states"), ("--states", "--instance", "web")])
def test_exactly_one_thing_is_drawn(typed: Callable[..., Result], words: tuple[str, ...]) -> None:
    refused = typed("graph", *words)
    assert refused.exit_code == 2
    assert "name one of FLOW" in refused.stderr


def test_an_unknown_workflow_is_said_to_be(typed: Callable[..., Result]) -> None:
    refused = typed("graph", "build-instnace")
    assert refused.exit_code == 2
    assert 'did you mean "build-instance"?' in refused.stderr


FLOW = """\
schema: 1
name: flow
inputs:
  go: {type: boolean, default: false}
  token: {type: secret, required: true}
steps:
  - {id: first, uses: log, with: {message: "hello ${{ inputs.token }}"}}
  - {id: keep, uses: set, with: {value: 7}}
  - {id: unless, uses: log, if: "${{ inputs.go }}", with: {message: go}}
  - {id: passed, uses: assert, with: {that: false, message: "no ${{ inputs.token }}"}, on_error: continue}
  - {id: last, uses: assert, with: {that: "${{ inputs.go }}", message: "not ${{ inputs.token }}"}}
  - {id: never, uses: log, with: {message: bye}}
finally:
  - {id: bye, uses: log, with: {message: bye}}
"""


def test_a_run_is_coloured_by_what_became_of_each_step(typed: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    assert typed("run", str(tmp_path / "flow.yaml"), "--input", "token=hunter2hunter2").exit_code == 3
    (run,) = json.loads(typed("runs", "list", "--output", "json").stdout)
    shown = json.loads(typed("graph", "--run", run["id"][:8], "--output", "json").stdout)
    found = {node["id"]: node["status"] for node in shown["nodes"]}
    assert found == {
        **{"first": "done", "keep": "done", "unless": "skipped", "passed": "failed", "last": "failed", "never": None},
        "bye": "done",
    }
    assert shown["title"] == f"flow, run {run['id']}: FAILED"
    events = [json.loads(line) for line in typed("events", "--output", "json").stdout.splitlines()]
    assert [(event["type"], event["state"]) for event in events if event["step"] is None] == [
        ("run.create", "RUNNING"),
        ("run.fail", "REVERTING"),
        ("run.failed", "FAILED"),
    ]
    assert [(event["step"], event["detail"]) for event in events if event["type"] == "step.error"] == [
        ("passed", "ConditionFailed: no ***"),
        ("last", "ConditionFailed: not ***"),
    ]
    assert f"run {run['id']} of flow: FAILED" in typed("timeline", run["id"][:8]).stdout
    for words in (("events",), ("timeline", run["id"]), ("graph", "--run", run["id"]), ("graph", "--run", run["id"])):
        assert "hunter2" not in typed(*words).stdout
