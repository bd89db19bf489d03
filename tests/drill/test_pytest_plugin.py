"""The pytest plugin as a user has it: a project of their own, installed beside Slipway, run by a pytest of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.running import run_pytest

EXAMPLE = Path(__file__).with_name("example")
POINTS = """
[slipway.tasks]
record-name = dnstask:RecordName
record-name-by-key = dnstask:RecordNameByKey
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example as an installed package: its tasks are found through its entry points."""
    directory = Path(shutil.copytree(EXAMPLE, tmp_path / "project"))
    (directory / "check_dns.py").rename(directory / "test_dns.py")
    info = directory / "dnstask-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dnstask\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return directory


def test_the_leak_of_a_users_task_is_found(project: Path) -> None:
    code, out = run_pytest(project)
    assert code == 1, out
    assert "bears neither the key nor the result of an effect on record" in out
    failed = re.findall(r"^FAILED .*\[(.*?)\]", out, re.MULTILINE)
    # The one moment that matters: the record is made, and its id is not yet in the ledger.
    assert len(failed) == 1, out
    assert failed[0].startswith("commit:crash_before:")
    assert int(re.findall(r"(\d+) passed", out)[0]) > 40


def test_the_same_task_with_a_key_has_none(project: Path) -> None:
    workflow = project / "build-with-name.yaml"
    workflow.write_text(workflow.read_text().replace("uses: record-name", "uses: record-name-by-key"))
    code, out = run_pytest(project, "-k", "commit")
    assert code == 0, out
    assert int(re.findall(r"(\d+) passed", out)[0]) > 15


def test_faults_by_name(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "demo.yaml", tmp_path)
    demo = tmp_path / "demo.yaml"
    demo.write_text(demo.read_text().replace("workflow: ./build-with-name.yaml", ""))
    (tmp_path / "test_mine.py").write_text(
        """
from pathlib import Path
from slipway.errors import PortLimitExceeded
from slipway.runfile import load

FILE = load(Path(__file__).with_name("demo.yaml"))

def build(world):
    with world.orchestrator() as orchestrator:
        orchestrator.run(FILE)

def test_the_class_decides(slipway_world, slipway_faults):
    slipway_faults("create_port:error:0", raises=PortLimitExceeded)
    slipway_world.act(build)
    with slipway_world.orchestrator() as orchestrator:
        (instance,) = orchestrator.list()
    assert (instance.vm_state, instance.fault.type) == ("ERROR", "PortLimitExceeded")

def test_a_fault_that_does_not_go_off(slipway_world, slipway_faults):
    slipway_faults("create_port:error:7")
    slipway_world.act(build)

def test_a_leak_fails_the_test(slipway_world):
    slipway_world.act(build)
    (slipway_world.state / "world/node-1/disks/nobody-0.json").write_text("{}")

def test_an_unused_world(slipway_world):
    pass
"""
    )
    code, out = run_pytest(tmp_path)
    assert code == 1, out
    assert "2 failed, 2 passed" in out
    assert "create_port:error:7 did not go off" in out
    assert "A2: file world/node-1/disks/nobody-0.json is there and nobody's" in out


def test_a_marked_test_needs_a_world(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n@pytest.mark.slipway_every_fault(build=print)\ndef test_nothing():\n    pass\n"
    )
    code, out = run_pytest(tmp_path)
    assert code != 0
    assert "needs the fixture slipway_world" in out


FLOW = """
schema: 1
name: flow
inputs: {place: {type: string, required: true}}
steps:
  - {id: it, uses: %s, with: {place: "${{ inputs.place }}", name: it}}
"""
MINE = """
import os
from pathlib import Path
from slipway.flows.tasks.catalog import load_tasks

load_tasks(str(Path(__file__).with_name("things.py")))

def test_nothing_leaks(drill_workflow, tmp_path):
    flow = Path(__file__).with_name("flow.yaml")
    look = lambda: os.listdir(tmp_path)
    report = drill_workflow(flow, {"place": str(tmp_path)}, look=look, modes=["crash_before", "lost_reply"])
    assert len(report.results) > 15
"""


@pytest.mark.parametrize(("task", "code"), [("make-thing", 0), ("make-by-id", 1)])
def test_a_workflow_is_drilled_in_a_test(tmp_path: Path, task: str, code: int) -> None:
    shutil.copy(Path(__file__).with_name("workflows") / "things.py", tmp_path)
    (tmp_path / "flow.yaml").write_text(FLOW % task)
    (tmp_path / "test_mine.py").write_text(MINE)
    ended, out = run_pytest(tmp_path)
    assert ended == code, out
    if code:
        assert "it:lost_reply.bug:0\n  A11: after the recovery: outside is left it-" in out
