"""Workers as processes: what is posted goes from one to the other, whichever of them dies, with one ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway import Event, Instance
from tests.boards import Server, free_port
from tests.waiting import until
from tests.workers.fleet import SLIPWAY, Fleet, fleet, request

FLOW = """
schema: 1
name: flow
steps:
  - {id: first, uses: set, with: {value: 1}}
  - id: web
    uses: build-instance
    with:
      name: web
      flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}
      image: {path: /tiny.qcow2, format: qcow2}
      networks: [demo-net]
"""


def built(made: Fleet, *names: str, on_event: Callable[[Event], None] = lambda _event: None) -> list[Instance]:
    """Instances that are posted at once, when they are at rest."""
    with made.client() as client, ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: client.create(request(name), on_event=on_event), names))


def nothing_doubled(made: Fleet) -> None:
    """The record and what is real agree, and no effect that stands was had by two workers."""
    with made.look() as seen:
        assert seen.audit() == ()


def test_a_life_goes_from_worker_to_worker(shared_board: Server, tmp_path: Path) -> None:
    told: list[Event] = []
    with fleet(shared_board, tmp_path / "state") as made:
        made.start("any", "--any")
        made.start("one", "--host", "node-1")
        port = free_port()
        made.start("two", "--host", "node-2", "--listen", str(port))
        (web,) = built(made, "web", on_event=told.append)
        assert (web.vm_state, web.addresses) == ("ACTIVE", ("10.0.0.2",))
        steps = [(event.step, event.host) for event in told if event.type == "step.end"]
        assert [step for step, _ in steps][:2] == ["schedule", "claim"]
        assert {host for step, host in steps if step in ("disks", "definition", "spawn")} == {web.host}
        assert told[-1].type == "instance.create.end"
        with made.client() as client:
            assert client.stop("web", force=True).vm_state == "STOPPED"
            assert client.start("web").vm_state == "ACTIVE"
            assert client.delete("web").vm_state == "DELETED"
        nothing_doubled(made)
        for page, words in (("ready", "ready"), ("metrics", 'slipway_instances{state="ACTIVE"} 0')):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
                assert words in answer.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
        host_worker = "one" if web.host == "node-1" else "two"
        assert f"hands web on to {web.host}" in made.end("any")
        assert "takes web: BUILDING/NETWORKING" in made.end(host_worker)
        assert "any" not in made.states()


def test_a_workflow_goes_on_at_workers(shared_board: Server, tmp_path: Path) -> None:
    """Also what it does to instances is posted, though one worker has room for one."""
    flow = tmp_path / "flow.yaml"
    flow.write_text(FLOW)
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",)) as made:
        made.start("all", "--any", "--host", "node-1", "--concurrency", "1")
        with made.client() as client:
            run = client.runs.run(str(flow))
            assert (run.state, run.fault) == ("SUCCEEDED", None)
            assert [one.vm_state for one in client.list()] == ["ACTIVE"]
        nothing_doubled(made)


@pytest.mark.parametrize("at", ["disks", "spawn"])
def test_what_a_killed_worker_had_goes_on_elsewhere(own_board: Server, tmp_path: Path, at: str) -> None:
    """The host's other worker has it soon, or where this one was killed between two steps at once."""
    with fleet(own_board, tmp_path / "state", hosts=("node-1",), delay=1.0) as made:
        for name, what in (("any", "--any"), ("one", "--host=node-1"), ("other", "--host=node-1")):
            made.start(name, what, "--ttl", "1")
        killed: list[str] = []

        def kill(event: Event) -> None:
            if (event.type, event.step) == ("step.start", at) and not killed:
                killed.append(made.holder("one", "other"))
                made.end(killed[0], signal.SIGKILL)

        (web,) = built(made, "web", on_event=kill)
        assert (web.vm_state, web.fault) == ("ACTIVE", None)
        assert "web is ACTIVE" in made.log("other" if killed == ["one"] else "one")
        nothing_doubled(made)


def test_one_that_slept_beyond_its_time_leaves_nothing_doubled(own_board: Server, tmp_path: Path) -> None:
    with fleet(own_board, tmp_path / "state", hosts=("node-1",), delay=1.0) as made:
        for name, what in (("any", "--any"), ("one", "--host=node-1"), ("other", "--host=node-1")):
            made.start(name, what, "--ttl", "1")
        asleep: list[str] = []

        def stop(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "disks") and not asleep:
                asleep.append(made.holder("one", "other"))
                made.send(asleep[0], signal.SIGSTOP)

        (web,) = built(made, "web", on_event=stop)
        assert web.vm_state == "ACTIVE"
        assert "web is ACTIVE" in made.log("other" if asleep == ["one"] else "one")
        made.send(asleep[0], signal.SIGCONT)
        until(lambda: made.states().get(asleep[0]) == "idle", "it has seen that it was replaced")
        assert "lets go of web" in made.log(asleep[0])
        nothing_doubled(made)


def test_a_board_that_loses_all_it_had_loses_no_work(own_board: Server, tmp_path: Path) -> None:
    with fleet(own_board, tmp_path / "state", hosts=("node-1",), delay=0.2) as made:
        made.start("all", "--any", "--host", "node-1", "--ttl", "1", "--concurrency", "2")

        def lose(event: Event) -> None:
            if (event.type, event.step, event.name) == ("step.start", "disks", "web-1"):
                own_board.kill()
                own_board.lose_all()
                own_board.start()

        ended = built(made, *(f"web-{number}" for number in range(1, 5)), on_event=lose)
        assert [one.vm_state for one in ended] == ["ACTIVE"] * 4
        nothing_doubled(made)


def test_a_worker_that_drains_says_what_it_waits_for(shared_board: Server, tmp_path: Path) -> None:
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",), delay=1.0) as made:
        made.start("all", "--any", "--host", "node-1")
        said: list[str] = []

        def drain(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "disks") and not said:
                said.append(made.end("all"))
                made.start("next", "--any", "--host", "node-1")

        (web,) = built(made, "web", on_event=drain)
        assert web.vm_state == "ACTIVE"
        assert "waits for the step of web that is under way" in said[0]
        assert "lets go of web" in said[0]
        assert "worker all has ended" in said[0]
        nothing_doubled(made)


def test_a_host_that_nobody_serves_gets_nothing(shared_board: Server, tmp_path: Path) -> None:
    with fleet(shared_board, tmp_path / "state") as made:
        made.start("all", "--any", "--host", "node-2")
        assert {one.host for one in built(made, "a", "b", "c")} == {"node-2"}


def test_what_waits_for_nobody_is_told(shared_board: Server, tmp_path: Path) -> None:
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",)) as made:
        made.start("all", "--any", "--host", "node-1")
        (web,) = built(made, "web")
        made.end("all")
        with made.client() as client, ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(client.stop, "web")
            until(lambda: client.workers().waiting, "it waits")
            seen = client.workers()
            assert [(one.name, one.host) for one in seen.waiting] == [("web", "node-1")]
            assert seen.posted == 1
            done = slipway_says(made, "workers", "--board", shared_board.url)
            assert "web waits for a worker of node-1" in done.stdout
            made.start("again", "--host", "node-1")
            assert stopped.result(60).id == web.id


def test_what_is_on_a_host_that_is_not_heard_of_is_not_known(shared_board: Server, tmp_path: Path) -> None:
    """It is told as it was, and never as lost; and it goes on when the host is heard of again."""
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",)) as made:
        made.start("all", "--any", "--host", "node-1", "--ttl", "1")
        built(made, "web")
        assert slipway_says(made, "list").stderr == ""
        made.end("all", signal.SIGKILL)
        until(lambda: made.states().get("all") == "silent", "it is not heard of")
        done = slipway_says(made, "list")
        assert "web" in done.stdout
        assert "unknown, was ACTIVE" in done.stdout
        assert "web  unknown, was ACTIVE" in slipway_says(made, "show", "web").stdout
        (one,) = json.loads(slipway_says(made, "list", "--output", "json").stdout)
        assert (one["vm_state"], one["known"]) == ("ACTIVE", False)
        assert done.stderr == "slipway: host node-1 is not heard of: what its instances do now is not known\n"
        made.start("again", "--host", "node-1")
        assert slipway_says(made, "list").stderr == ""
        assert "unknown" not in slipway_says(made, "list").stdout


def slipway_says(made: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*SLIPWAY, *words, "--state", str(made.state)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_what_is_wrong_is_said_in_one_line(shared_board: Server, tmp_path: Path) -> None:
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",)) as made:
        made.start("all", "--any", "--host", "node-1")
        wrong = (
            (("--board", shared_board.url), "it is to take something: --host NAME, --any, or both"),
            (("--any",), "the board is missing: --board URL, or SLIPWAY_BOARD"),
            (("--any", "--board", "redis://x:secret@127.0.0.1:1"), "the board does not answer"),
            (("--any", "--board", "amqp://x:secret@h"), "no job board is known by 'amqp'"),
            (("--host", "node-7", "--board", shared_board.url), "host node-7 is not on record, and cannot be measured"),
            (("--any", "--name", "all", "--board", shared_board.url), "worker all runs already"),
        )
        for words, text in wrong:
            done = slipway_says(made, "worker", *words)
            assert (done.returncode, done.stdout) == (1 if "node-7" in words else 2, ""), words
            assert text in done.stderr
            assert "secret" not in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_workers_are_for_programs_too(shared_board: Server, tmp_path: Path) -> None:
    with fleet(shared_board, tmp_path / "state", hosts=("node-1",)) as made:
        made.start("all", "--any", "--host", "node-1")
        seen = json.loads(slipway_says(made, "workers", "--output", "json").stdout)
        (worker,) = seen["workers"]
        assert (worker["name"], worker["hosts"], worker["anything"], worker["state"]) == (
            *("all", ["node-1"], True),
            "idle",
        )
        assert (seen["waiting"], seen["posted"]) == ([], None)
