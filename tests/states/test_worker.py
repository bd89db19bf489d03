"""Who is alive: processes of this and of other namespaces, boots and machines; and whose lease has passed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.registry import Drivers
from slipway.flows.runs import holding
from slipway.flows.tasks.base import Tools
from slipway.settings import Settings
from slipway.states import worker as workers
from slipway.states.lease import Lease
from slipway.states.store import Store
from slipway.states.worker import Worker, is_gone, this_process, this_worker
from slipway.states.workers import CLOCK

SLEEPER = "import sys, time; from slipway.states.worker import this_worker as w; import msgspec; " + (
    "print(msgspec.json.encode(w()).decode(), flush=True); sys.stdin.read()"
)


@contextmanager
def another(*before: str) -> Iterator[tuple[subprocess.Popen[str], Worker]]:
    """A process that lives until the end, or until its standard input is closed, and what it says of itself."""
    command = [*before, sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, msgspec.json.decode(process.stdout.readline(), type=Worker)
        finally:
            process.kill()


def changed(worker: Worker, **values: str | int) -> Worker:
    return msgspec.structs.replace(worker, **values)


# --- one machine, boot and namespace ------------------------------------------------------------------------------


def test_who_lives_is_not_gone_and_who_has_ended_is() -> None:
    assert not is_gone(this_worker())
    with another() as (process, worker):
        assert not is_gone(worker)
        assert worker != this_worker()
        process.send_signal(signal.SIGSTOP)
        assert not is_gone(worker), "who is suspended may go on at any time"
        process.kill()
        while not is_gone(worker):
            time.sleep(0.01)
        # It was not waited for: a zombie, which does nothing more.
        assert os.path.exists(f"/proc/{process.pid}")
        process.wait()
        assert is_gone(worker)


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    with another() as (_, worker):
        assert is_gone(changed(worker, ticks=worker.ticks - 1))
        assert is_gone(changed(worker, ticks=worker.ticks + 1))


def test_a_child_is_not_its_parent() -> None:
    parent, (reader, writer) = this_worker(), os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, msgspec.json.encode(this_worker()))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as file:
        said = msgspec.json.decode(file.read(), type=Worker)
    assert (said.pid, parent.pid) == (child, os.getpid())
    assert is_gone(said)


def test_neither_the_clock_nor_the_hosts_name_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process's start in the time of day is reckoned from when the machine booted, which moves when it is set."""
    before = this_worker()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    this_process.cache_clear()
    assert changed(this_worker(), host=before.host) == before
    assert not is_gone(before)
    this_process.cache_clear()


def test_where_proc_hides_the_processes_of_others_nobody_is_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    this_worker()
    with another() as (process, worker):
        monkeypatch.setattr(workers, "_stat", lambda _pid: None)
        assert not is_gone(worker)
        process.kill()
        process.wait()
        assert is_gone(worker)


# --- elsewhere ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["machine", "boot", "pid_namespace", "time_namespace"])
def test_nothing_is_proved_of_a_process_elsewhere(what: str) -> None:
    with another() as (process, worker):
        process.kill()
        process.wait()
        assert is_gone(worker)
        assert not is_gone(changed(worker, **{what: 1 if what.endswith("namespace") else "another"}))


needs_root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="unshare, as root, makes the namespaces"
)


@needs_root
@pytest.mark.parametrize("more", [(), ("--mount-proc",), ("--mount-proc", "--time", "--boottime", "1000")])
def test_a_process_in_a_pid_namespace_of_its_own_is_not_seen_from_here(more: tuple[str, ...]) -> None:
    """With /proc left as it was its number there is somebody else's here."""
    with another("unshare", "--pid", "--fork", "--kill-child", *more) as (_, worker):
        assert worker.pid == 1
        assert not is_gone(worker)
        assert (worker.machine, worker.boot) == (this_worker().machine, this_worker().boot)
        assert (worker.clock == this_worker().clock) is ("--time" not in more)


INSIDE = f"""
import subprocess, sys, msgspec
from slipway.states.worker import Worker, is_gone, this_worker
sleeper = [sys.executable, "-c", {SLEEPER!r}]
with subprocess.Popen(sleeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
    worker = msgspec.json.decode(process.stdout.readline(), type=Worker)
    alive = is_gone(worker), is_gone(this_worker())
    process.kill()
    process.wait()
    print(*alive, is_gone(worker), is_gone(msgspec.json.decode(sys.argv[1], type=Worker)))
"""


@needs_root
@pytest.mark.parametrize(("more", "sees"), [((), False), (("--mount-proc",), True)])
def test_in_a_pid_namespace_of_ones_own(more: tuple[str, ...], sees: bool) -> None:
    """Where /proc is not the namespace's nobody in it can be judged: our neighbours have their numbers there."""
    outer = msgspec.json.encode(this_worker()).decode()
    command = ["unshare", "--pid", "--fork", "--kill-child", *more, sys.executable, "-c", INSIDE, outer]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False", str(sees), "False"]


# --- leases -------------------------------------------------------------------------------------------------------

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def lease(**of: str | int) -> Lease:
    """One of 100 s that was begun at noon, when the monotonic clock stood at 5,000 s."""
    begun = Lease.begun(100.0, clock=lambda: NOON, monotonic=lambda: 5000.0)
    return msgspec.structs.replace(begun, worker=changed(begun.worker, **of))


@pytest.mark.parametrize("step", [timedelta(), timedelta(hours=1), -timedelta(days=400), timedelta(seconds=1)])
def test_on_one_machine_the_time_of_day_does_not_count(step: timedelta) -> None:
    def passed(seconds: float, last: float = 0.0) -> bool:
        return lease().has_passed(
            NOON + timedelta(seconds=last), 10.0, clock=lambda: NOON + step, monotonic=lambda: 5000.0 + seconds
        )

    assert [passed(after) for after in (0, 99, 109, 111)] == [False, False, False, True]
    assert [passed(after, last=300.0) for after in (111, 309, 311)] == [False, False, True]


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"machine": "another"}, {"time_namespace": 1}])
def test_elsewhere_nothing_else_does(elsewhere: dict[str, str | int]) -> None:
    def passed(seconds: float) -> bool:
        now = NOON + timedelta(seconds=seconds)
        return lease(**elsewhere).has_passed(None, 10.0, clock=lambda: now, monotonic=lambda: 1e9)

    assert [passed(after) for after in (0, 99, 109, 111)] == [False, False, False, True]


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_machine_whose_clock_is_minutes_off_replaces_nobody_early(minutes: int, tmp_path: Path) -> None:
    """All go by the clock of the server that has the record."""
    store, ours = Store(f"sqlite:///{tmp_path}/slipway.db"), NOON + timedelta(minutes=minutes)
    tools = Tools(store, Drivers(EmbeddedNetwork(store, Settings()), tmp_path), Settings(), lambda: ours, float, print)
    with store.write() as tx:
        tx.info[CLOCK] = lambda: NOON
        held = Lease.read(holding.lease(tx, tools))
        assert held is not None
        held = msgspec.structs.replace(held, worker=changed(held.worker, machine="another"))
        passed = []
        for seconds in (0, 179, 181):
            tx.info[CLOCK] = lambda seconds=seconds: NOON + timedelta(seconds=seconds)
            passed.append(holding.has_passed(tx, held, "an instance", tools))
    store.close()
    assert passed == [False, False, True]


def test_a_lease_is_read_as_it_was_written_and_an_older_slipways_is_none() -> None:
    assert Lease.read(lease().text()) == lease()
    for old in (None, "", "node-1/4711/1700000000.25", "{", '{"worker": 1}', "null"):
        assert Lease.read(old) is None


def test_one_that_has_no_id_to_show_is_told_from_another_one() -> None:
    """In containers without a /proc of their own all are number 1."""
    code = "from slipway.states.worker import this_worker; print(repr(this_worker()))"
    texts = set()
    for _ in range(2):
        command = ["unshare", "--pid", "--fork", sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "Operation not permitted" in done.stderr:
            pytest.skip("namespaces need root")
        texts.add(done.stdout)
    assert len(texts) == 2
    assert all("pid_namespace=0" in text and "pid=1," in text for text in texts)
