"""`slipway plan`, and a run that asks before it takes anything away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Call = Callable[..., Result]
FileWriter = Callable[..., str]


@pytest.fixture
def changed(slipway: Call, run_file: FileWriter) -> str:
    """A run file whose instances were built with another flavor than it says by now."""
    file = Path(run_file())
    assert slipway("run", str(file)).exit_code == 0
    file.write_text(file.read_text().replace("disk: 2GiB}", "disk: 2GiB, numa_cells: 1}"))
    return str(file)


def states(slipway: Call) -> Any:
    return json.loads(slipway("list", "--output", "json").stdout)


def test_the_first_plan_makes_no_state_and_its_saved_plan_is_carried_out(
    slipway: Call, run_file: FileWriter, tmp_path: Path
) -> None:
    file, state, plan = run_file(), tmp_path / "fresh", str(tmp_path / "first.plan")
    shown = slipway("plan", file, "--state", str(state), "--save", plan)
    assert shown.exit_code == 0, shown.output
    assert not state.exists()
    for text in (
        "+   instance web on node-1 (the only host that fits)",
        "demo-net 192.168.0.10",
        "undone by: release it",
    ):
        assert text in shown.stdout
    assert f"carry it out with: slipway run {plan} --state {state}" in shown.stdout
    assert slipway("plan", file, "--state", str(state), "--check").exit_code == 5
    assert slipway("run", plan, "--state", str(state)).exit_code == 0
    done = slipway("plan", file, "--state", str(state), "--check")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, f"Nothing to do: all is as {file} says.")
    again = slipway("run", plan, "--state", str(state))
    assert again.exit_code == 1
    assert "since the plan was made on" in again.stderr
    assert "instance web is there by now" in again.stderr


def test_a_plan_in_json(slipway: Call, changed: str) -> None:
    for option in (("--json",), ("--output", "json")):
        done = slipway("plan", changed, *option)
        plan = json.loads(done.stdout)
        assert (plan["acts"], plan["asks"]) == (True, ["instance web", "instance gate"])
        web = plan["changes"][0]
        assert (web["how"], web["host"], web["addresses"]) == ("replace", "node-1", ["192.168.0.10"])
        assert [effect["kind"] for effect in web["effects"]][:2] == ["claim", "port"]
        assert web["differences"][0]["attribute"] == "flavor.numa_cells"
        assert plan["totals"]["replace"] == {"instance": 2}
        assert plan["totals"]["claims"]["memory"] == 2**30
        assert len(plan["unchanged"]) == 3


def test_nothing_is_replaced_without_a_word(slipway: Call, changed: str) -> None:
    before = states(slipway)
    for more in ((), ("--output", "json")):
        done = slipway("run", changed, *more)
        assert done.exit_code == 2
        assert (
            "nothing was done: --yes has to agree to this: replace instance web, replace instance gate" in done.output
        )
    assert states(slipway) == before
    done = slipway("run", changed, "--yes")
    assert done.exit_code == 0, done.output
    assert {one["id"] for one in states(slipway)}.isdisjoint(one["id"] for one in before)
    assert slipway("plan", changed, "--check").exit_code == 0


@pytest.mark.parametrize(("key", "code"), [("y", 0), ("n", 2), ("", 2), (None, 130)])
def test_on_a_terminal_it_is_asked(
    key: str | None, code: int, slipway: Call, changed: str, terminal: Callable[..., Any]
) -> None:
    before = states(slipway)
    shell = terminal("run", changed, columns=120)
    shell.wait_for(r"Do this\? \[y/N\]")
    assert "flavor.numa_cells  0 -> 1" in shell.text
    if key is not None:
        shell.press(key + "\n")
    else:
        shell.interrupt()
    assert shell.wait() == code, shell.text
    assert (states(slipway) == before) == (code != 0)


def test_a_change_by_a_stop_and_what_is_lost_are_told_and_agreed_to(slipway: Call, run_file: FileWriter) -> None:
    file = Path(run_file())
    file.write_text(file.read_text().replace("depends_on", "disks: [1GiB, 2GiB], depends_on"))
    assert slipway("run", str(file)).exit_code == 0
    text = file.read_text().replace("memory: 512MiB", "memory: 1GiB").replace("[1GiB, 2GiB]", "[3GiB]")
    file.write_text(text.replace("networks: [demo-net]", "networks: [demo-net, demo-net]"))
    before = {one["id"] for one in states(slipway)}
    shown = slipway("plan", str(file), "--check")
    assert shown.exit_code == 5
    for line in (
        "^   instance gate  auto (demo-subnet)",
        "      resize            memory 512MiB to 1GiB; its guest is stopped for it  undone by: memory back to 512MiB",
        "      grow-disk         disk vdb, 1GiB to 3GiB                              irreversible",
        "      attach-interface  a NIC on demo-net                                   undone by: detach it",
        "      detach-disk       disk vdc, 2GiB                                      irreversible",
        "      lost           disk vdc, 2GiB, with all that is on it",
        "to change by a stop: 2 instances",
        "nothing brings back: instance gate, instance gate: grow-disk",
    ):
        assert line in shown.stdout.splitlines(), (line, shown.stdout)
    refused = slipway("run", str(file))
    assert (refused.exit_code, "stop instance web, stop instance gate" in refused.output) == (2, True)
    done = slipway("run", str(file), "--yes")
    assert done.exit_code == 0, done.output
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("gate ")]
    assert [words[1] for words in told[:-1]] == ["resize-stopping", "attach-interface", "grow-disk", "detach-disk"]
    assert {one["id"] for one in states(slipway)} == before
    assert slipway("plan", str(file), "--check").exit_code == 0


def test_what_has_left_the_file_is_told_and_pruned(slipway: Call, run_file: FileWriter) -> None:
    file = Path(run_file())
    slipway("run", str(file))
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.strip().startswith("gate:")) + "\n")
    kept = slipway("run", str(file))
    assert kept.exit_code == 0
    assert "! instance gate: it has left the file and stays; --prune takes it away" in kept.stdout.splitlines()
    assert "Nothing to do" not in kept.stdout
    assert slipway("run", str(file), "--prune").exit_code == 2
    pruned = slipway("run", str(file), "--prune", "--yes")
    assert pruned.exit_code == 0, pruned.output
    assert [one["name"] for one in states(slipway)] == ["web"]
    assert "Nothing to do" in slipway("run", str(file)).stdout


def test_what_is_gone_is_told_with_what_mends_it(
    slipway: Call, run_file: FileWriter, environment: dict[str, str]
) -> None:
    file = run_file()
    slipway("run", file)
    for domain in Path(environment["SLIPWAY_STATE"]).glob("world/node-1/domains/*.json"):
        domain.unlink()
    checked = slipway("plan", file, "--check")
    assert (checked.exit_code, "!   instance web  its domain is not there on node-1" in checked.stdout) == (5, True)
    assert slipway("plan", file, "--check", "--no-repair").exit_code == 0


def test_what_is_no_run_file_is_refused_with_what_to_do(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    file, plan = run_file(), str(tmp_path / "a.plan")
    slipway("plan", file, "--save", plan)
    workflow = tmp_path / "w.yaml"
    workflow.write_text("schema: 1\nname: w\nsteps: [{id: a, uses: log, with: {message: x}}]\n")
    for words, told in (
        (("plan", plan), f"{plan} is a plan already: slipway run {plan}"),
        (("plan", str(workflow)), "is a workflow"),
        (("run", plan, "--prune"), "is a plan, which says by itself what is replaced, pruned and looked at"),
        (("plan", str(tmp_path / "none.yaml")), "none.yaml"),
        (("plan", file, "--save", file), "is no saved plan: name another file"),
    ):
        done = slipway(*words)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert told in done.stderr
        assert done.stderr.count("\n") <= 2
