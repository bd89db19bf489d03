"""`slipway drill` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from slipway.cli.main import main
from slipway.drill.cases import Scenario
from slipway.flows.tasks.disks import CreateDisk
from slipway.model.machine import Disk

FILE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [net]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def leak(monkeypatch: pytest.MonkeyPatch) -> None:
    def undo(self: CreateDisk, work: object, result: Disk | None) -> None:
        del self, work, result

    monkeypatch.setattr(CreateDisk, "undo", undo)


def drill(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[object, str, str]:
    """The exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["drill", *map(str, words)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_nothing_leaks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = drill(capsys, file, "--only", "build/spawn", "--jobs", "2")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["SCENARIO", "STEP", "ERROR"]
    assert lines[1].split()[:2] == ["build", "spawn"]
    assert "fault points" in lines[-1]
    assert "LEAK" not in out
    assert err == ""


@pytest.mark.usefixtures("leak")
def test_a_leak_is_told_with_the_line_that_reproduces_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = drill(capsys, file, "--only", "rollback/destroy:crash_before", "--seed", "7", "--jobs", "1")
    assert code == 5
    assert "A3: after the recovery: instance web-1 is ERROR: 1 of kind disk left" in out
    line = f"slipway drill {file} --only rollback/destroy:crash_before:0 --seed 7"
    assert line in out
    assert "rollback/destroy:crash_before:0" in err
    again, out, _ = drill(capsys, *line.split()[2:])
    assert again == 5
    assert "1 run in" in out


@pytest.mark.usefixtures("leak")
def test_fail_fast_begins_no_further_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = drill(capsys, file, "--only", "rollback/", "--fail-fast", "--jobs", "1", "--output", "json")
    found = json.loads(out)
    assert code == 5
    assert found["leaks"] >= 1
    assert found["runs"] <= 3 < 50 < found["planned"]


@pytest.mark.usefixtures("leak")
def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--only", "rollback/destroy", "--modes", "crash_before,hang", "--output", "json")
    code, out, err = drill(capsys, file, *words)
    found = json.loads(out)
    assert code == 5
    assert err == ""
    assert found["totals"]["LEAK"] == found["leaks"] == len(found["cases"]) == 2
    case = found["cases"][0]
    assert (case["scenario"], case["step"], case["undoing"]) == ("rollback", "spawn", True)
    assert case["mode"] == "crash_before"
    assert case["outcome"] == "LEAK"
    assert case["ends"] == {"web-1": "ERROR"}
    assert {problem["invariant"] for problem in case["problems"]} >= {"A3"}


@pytest.mark.usefixtures("leak")
def test_junit_and_html(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, html = tmp_path / "report.xml", tmp_path / "report.html"
    code, _, _ = drill(capsys, file, "--only", ":crash_before", "--junit", junit, "--html", html)
    assert code == 5
    suites = ET.parse(junit).getroot()
    assert int(suites.attrib["failures"]) == len(suites.findall(".//failure")) > 0
    assert int(suites.attrib["tests"]) == len(suites.findall(".//testcase"))
    assert "slipway drill" in suites.findall(".//failure")[0].attrib["message"]
    page = html.read_text()
    assert not [word for word in ("http://", "https://", "<link", "src=") if word in page]
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    runs = [run for row in data["rows"] for cell in row["cells"] for run in cell]
    assert len(runs) == data["runs"]
    assert sum(run["outcome"] == 0 for run in runs) == data["totals"][0] > 0
    texts = {data["texts"][number] for number in runs[0]["trace"][1::2]}
    assert any(text.startswith("fault ") for text in texts)
    words = page.partition("const scenarios = {")[2].partition("};")[0]
    assert [one for one in Scenario if f"\n  {one}: " not in words] == [], "each is explained, those of workflows too"


def test_a_pair_is_reproduced_by_its_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--only", "build/spawn:crash_after", "--seed", "3", "--output", "json")
    _, out, _ = drill(capsys, file, *words, "--pairs", "2")
    first, second = (case["name"] for case in json.loads(out)["cases"][-2:])
    assert "+" in first
    _, out, _ = drill(capsys, file, "--only", first, "--only", second, "--seed", "3", "--output", "json")
    assert [case["name"] for case in json.loads(out)["cases"]] == [first, second]


def test_list_names_every_run_and_runs_none(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = drill(capsys, file, "--list", "--only", "spawn:crash_after:0", "--only", "delete/destroy:hang")
    assert code == 0
    assert out.split() == ["spawn:crash_after:0", "delete/destroy:hang:0"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--only", "build/spawn:explode"), "there is no mode 'explode'; there are error, lost_reply"),
        (("--only", "biuld/spawn"), "there is no scenario 'biuld'; there are prepare, build"),
        (("--only", "spawn:crash_after:0+nonsense"), "'nonsense' names no fault"),
        (("--modes", "error,explode"), "'explode' is not a valid Mode"),
        (("--html", "/nowhere/report.html"), "/nowhere/report.html"),
    ],
)
def test_what_is_typed_wrong(words: tuple[str, ...], text: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = drill(capsys, file, *words)
    assert code in (1, 2)
    assert text in err


def test_nothing_selected(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = drill(capsys, file, "--only", "no_such_call")
    assert code == 1
    assert "no fault point was selected" in err


def test_a_file_that_ends_in_error_by_itself_is_drilled_to_that_end(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(FILE.replace("compute: sim}", "compute: sim, simulate: {fail: [spawn]}}"))
    code, out, _ = drill(capsys, file, "--modes", "crash_before", "--output", "json")
    found = json.loads(out)
    assert code == 0
    assert {case["scenario"] for case in found["cases"]} == {"prepare", "build"}
    assert {case["ends"].get("web-1") for case in found["cases"] if case["scenario"] == "build"} == {"ERROR"}


def test_help_is_quick() -> None:
    heavy = "{'sqlalchemy', 'taskflow', 'rich'}"
    code = f"import sys; from slipway.cli.drill import command; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
