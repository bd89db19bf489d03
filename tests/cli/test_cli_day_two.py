"""`slipway history`, `prune` and `metrics`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from slipway import Flavor, GiB, Host, Image, InstanceRequest, Metric, Orchestrator, Sample
from slipway.looks.prometheus import exposition

Call = Callable[..., Result]
FileWriter = Callable[..., str]

REQUEST = InstanceRequest("web", Flavor("small", 1, GiB, GiB), Image("tiny", kernel="/vmlinux"), networks=())


# --- history ------------------------------------------------------------------------------------------------------


def test_who_did_what_and_when(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0
    assert slipway("stop", "web").exit_code == 0
    assert slipway("delete", "web").exit_code == 0
    assert slipway("run", run_file()).exit_code == 0
    found = json.loads(slipway("history", "web", "--output", "json").stdout)
    assert [one["what"] for one in found] == ["build", "stop", "delete", "build"]
    assert [one["instance"] for one in found] == ["web"] * 4
    assert len({one["instance_id"] for one in found}) == 2, "of all that were ever called so"
    assert {one["state"] for one in found} == {"SUCCEEDED"} | {one["state"] for one in found[2:3]}
    assert re.fullmatch(r"\S+: .*stop web.*", found[1]["who"])
    by_id = json.loads(slipway("history", found[0]["instance_id"], "--output", "json").stdout)
    assert [one["what"] for one in by_id] == ["build", "stop", "delete"]
    text = slipway("history", "web", "--limit", "2").stdout.splitlines()
    assert text[0].split() == ["TIME", "WHAT", "INSTANCE", "STATE", "TOOK", "WHO"]
    assert ["delete" in text[1], "build" in text[2], len(text)] == [True, True, 3]
    assert "gate" in slipway("history").stdout
    assert json.loads(slipway("history", "--project", "other", "--output", "json").stdout) == []
    nobody = slipway("history", "nobody")
    assert (nobody.exit_code, "no instance nobody was ever on record" in nobody.stderr) == (1, True)


# --- prune --------------------------------------------------------------------------------------------------------


@pytest.fixture
def now() -> list[datetime]:
    return [datetime(2030, 1, 1, tzinfo=UTC)]


@pytest.fixture
def api(tmp_path: Path, now: list[datetime]) -> Orchestrator:
    made = Orchestrator(tmp_path / "state", clock=lambda: now[0])
    made.add_host(Host("node-1", vcpus=64, memory=64 * GiB, disk=640 * GiB))
    return made


def test_what_was_deleted_long_ago_goes_and_nothing_else(api: Orchestrator, now: list[datetime]) -> None:
    old = api.create(replace(REQUEST, name="old"))
    api.create(replace(REQUEST, name="stays"))
    api.stop("old")
    api.delete("old")
    now[0] += timedelta(days=31)
    api.create(replace(REQUEST, name="young"))
    young = api.delete("young")
    before = list(api.events())
    looked = api.prune(older_than=30 * 86400, only_look=True)
    assert looked.instances == 1
    assert list(api.events()) == before
    gone = api.prune(older_than=30 * 86400)
    assert gone == looked
    assert (gone.runs, gone.effects > 0, gone.events > 5) == (3, True, True)
    assert [one.name for one in api.select(deleted=True)] == ["young"]
    assert {event.instance_id for event in api.events()} == {api.show("stays").instance.id, young.id}
    assert [deed.instance for deed in api.history()] == ["stays", "young", "young"]
    assert old.id not in {deed.instance_id for deed in api.history()}
    assert api.prune(older_than=30 * 86400).instances == 0
    assert api.audit() == ()
    assert api.quotas.show().used.instances == 1
    api.close()


def test_more_than_one_step_of_them(api: Orchestrator, now: list[datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.operations.pruning._AT_ONCE", 2)
    for number in range(5):
        api.create(replace(REQUEST, name=f"web-{number}"))
    api.select().delete()
    now[0] += timedelta(days=2)
    assert api.prune(older_than=86400).instances == 5
    assert list(api.select(deleted=True)) == []
    assert list(api.events()) == []
    api.close()


def test_a_key_by_which_a_later_instance_is_found_stays(api: Orchestrator, now: list[datetime]) -> None:
    for key in ("run/build/0", "run/build/0#2", "alone"):
        api.create(replace(REQUEST, name="web", idempotency_key=key))
        api.delete("web")
    api.create(replace(REQUEST, name="web", idempotency_key="run/build/0#3"))
    now[0] += timedelta(days=2)
    assert api.prune(older_than=86400).instances == 1
    kept = sorted(str(one.request.idempotency_key) for one in api.select(deleted=True))
    assert kept == ["run/build/0", "run/build/0#2"]
    api.close()


def test_prune_by_command(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0
    assert slipway("delete", "web", "gate").exit_code == 0
    told = slipway("prune", "--older-than", "0s", "--dry-run").stdout
    assert re.fullmatch(r"2 instances, 4 runs, \d+ effects, \d+ events would be taken off the record\n", told)
    said = json.loads(slipway("prune", "--older-than", "0s", "--output", "json").stdout)
    assert (said["instances"], said["runs"]) == (2, 4)
    assert slipway("prune", "--older-than", "30d").stdout.startswith("0 instances, 0 runs")
    for wrong in ((), ("--older-than", "30"), ("--older-than", "month")):
        assert slipway("prune", *wrong).exit_code == 2


# --- metrics ------------------------------------------------------------------------------------------------------


def samples(text: str) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples, as Prometheus' own parser reads them."""
    families = list(text_string_to_metric_families(text))
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_metrics(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file("fail: [stop]")).exit_code == 0
    assert slipway("quota", "set", "--project", "demo", "--instances", "9").exit_code == 0
    found = samples(slipway("metrics").stdout)
    assert found["slipway_instances", (("state", "ACTIVE"),)] == 2
    assert found["slipway_instances", (("state", "ERROR"),)] == 0
    assert found["slipway_runs", (("state", "SUCCEEDED"),)] == 2
    assert found["slipway_runs_by_name", (("name", "build"), ("state", "SUCCEEDED"))] == 2
    host = (("host", "node-1"),)
    assert found["slipway_host_vcpus_limit", host] == 32
    assert found["slipway_host_memory_used_bytes", host] == 1024**3
    assert found["slipway_host_instances", host] == 2
    assert found["slipway_leases_expired", ()] == 0
    assert found["slipway_project_instances_limit", (("project", "demo"),)] == 9
    assert found["slipway_project_vcpus_used", (("project", "demo"),)] == 2
    assert found["slipway_build_seconds_count", ()] == 2
    assert found["slipway_build_seconds_bucket", (("le", "+Inf"),)] == 2
    bounds = [value for (name, _), value in found.items() if name == "slipway_build_seconds_bucket"]
    assert bounds == sorted(bounds)
    assert 0 < found["slipway_build_seconds_sum", ()] < 60
    assert not [name for name, _ in found if name.startswith("slipway_effects_stuck")]
    names = {metric["name"] for metric in json.loads(slipway("metrics", "--output", "json").stdout)}
    assert {"slipway_instances", "slipway_build_seconds", "slipway_effects_stuck"} <= names


def test_what_is_stuck_is_measured(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file("fail: [spawn, delete_disk]")).exit_code == 4
    found = samples(slipway("metrics").stdout)
    assert found["slipway_effects_stuck", (("kind", "disk"),)] >= 1
    assert found["slipway_instances", (("state", "ERROR"),)] >= 1


def test_whose_worker_is_gone_is_measured(api: Orchestrator, now: list[datetime]) -> None:
    from slipway.errors import BuildInterrupted, NotFinished

    def stop(event: object) -> None:
        if getattr(event, "type", "") == "step.start":
            raise BuildInterrupted("killed")

    with pytest.raises((NotFinished, BuildInterrupted)):
        api.create(REQUEST, on_event=stop)
    now[0] += timedelta(days=1)
    found = {metric.name: metric.samples for metric in api.metrics()}
    assert sum(sample.value for sample in found["slipway_instances_busy"]) == 1
    api.close()


def test_labels_are_escaped() -> None:
    metric = Metric("a_b", "gauge", "of \\ and\nlines", (Sample({"x": 'quo"te\\ and\nline', "y": "é"}, 0.25),))
    ((family),) = text_string_to_metric_families(exposition((metric,)))
    assert family.documentation == "of \\ and\nlines"
    assert [(one.labels, one.value) for one in family.samples] == [({"x": 'quo"te\\ and\nline', "y": "é"}, 0.25)]
