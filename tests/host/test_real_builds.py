"""Whole builds of real machines, and what is left when something on the host fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from slipway.model.record import EffectState, Event, Instance
from slipway.operations.audit import Difference
from slipway.operations.batch import Ended, Status
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile
from tests.conftest import Guest
from tests.host.conftest import Machines
from tests.host.libvirtd import Libvirtd
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host

LONGEST = 120.0
"""Seconds: the most that a guest may be given to end."""


def run(orchestrator: Orchestrator, file: RunFile) -> Ended:
    (ended,) = orchestrator.run(file).ended
    return ended


def assert_nothing_is_left(machines: Machines, orchestrator: Orchestrator) -> None:
    assert machines.files() == set()
    assert machines.libvirtd.machines() == []
    assert orchestrator.audit() == ()


def test_a_guest_boots_and_is_gone_when_it_is_deleted(machines: Machines) -> None:
    """L1-L4."""
    with machines.open() as orchestrator:
        ended = run(orchestrator, machines.file(entry='disks: [64MiB], user_data: "#cloud-config"'))
        assert ended.status is Status.BUILT, ended.message
        assert ended.instance is not None
        one = ended.instance
        until(lambda: "slipway-guest: ready" in machines.console(one), "the guest's marker")
        lines = [line.split() for line in machines.console(one).splitlines() if "slipway-guest: disk" in line]
        assert [words[2] for words in lines] == ["vda", "vdb", "vdc"]
        assert [words[3:] for words in lines[:2]] == [[str(1 << 30)], [str(64 << 20)]]
        assert lines[2][4:] == ["cidata"], "what cloud-init looks for"
        assert len(machines.libvirtd.machines(one.id)) == 1
        assert len(machines.files()) == 5
        assert orchestrator.audit() == ()
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)


def test_a_file_system_that_has_no_o_direct(guest: Guest) -> None:
    with ExitStack() as stack:
        # In a short path, for sockets are in it.
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="slipway-", dir="/tmp")))
        state = directory / "state"
        for path in (state, directory / "daemon"):
            path.mkdir()
        subprocess.run(["mount", "-t", "ramfs", "memory", state], check=True)
        stack.callback(lambda: subprocess.run(["umount", "--lazy", state], check=True))
        # It sees what was mounted when it began.
        libvirtd = Libvirtd(directory / "daemon")
        stack.callback(libvirtd.close)
        machines = Machines(libvirtd, state, guest)
        with machines.open() as orchestrator:
            ended = run(orchestrator, machines.file(entry="disks: [64MiB]"))
            assert ended.instance is not None
            assert ended.instance.fault is None
            one = ended.instance
            until(lambda: "slipway-guest: ready" in machines.console(one), "the guest's marker")
            orchestrator.delete("one")
            assert_nothing_is_left(machines, orchestrator)


def test_what_was_found_out_of_kvm_is_true(machines: Machines) -> None:
    """A kernel boots under it: there are machines where /dev/kvm is there and a kernel does not get far.

    Of TCG the build that finds it out says a line.
    """
    told: list[Event] = []
    with machines.open() as orchestrator:
        (ended,) = orchestrator.run(machines.file(accel="auto"), on_event=told.append).ended
        assert ended.instance is not None
        one = ended.instance
        (kept,) = (machines.state / "acceleration").glob("*.json")
        slow = "qemu" in kept.read_text()
        assert [event.step for event in told if event.type == "step.say"] == ["definition"] * slow
        until(lambda: "slipway-guest: ready" in machines.console(one), "the guest's marker")


def test_a_second_run_changes_nothing(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        (process,) = machines.libvirtd.machines()
    with machines.open() as orchestrator:
        assert run(orchestrator, machines.file()).status is Status.UNCHANGED
        assert machines.libvirtd.machines() == [process]
        orchestrator.destroy(machines.file())
        assert_nothing_is_left(machines, orchestrator)


# --- stop and start -------------------------------------------------------------------------------------------------


def ready(machines: Machines) -> Instance:
    """The instance, once its guest has booted."""
    with machines.open() as orchestrator:
        (one,) = orchestrator.list()
    until(lambda: "slipway-guest: ready" in machines.console(one), "the guest's marker")
    return one


def test_a_guest_is_asked_to_shut_down_and_started_again(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        one = ready(machines)
        assert orchestrator.stop("one", timeout=LONGEST).vm_state == "STOPPED"
        assert "reboot: Power down" in machines.console(one), "by the guest itself"
        assert machines.libvirtd.machines() == []
        assert orchestrator.audit() == ()
        assert orchestrator.start("one").vm_state == "ACTIVE"
        ready(machines)
        (process,) = machines.libvirtd.machines()
        rebooted = orchestrator.reboot("one", timeout=LONGEST)
        assert (rebooted.vm_state, rebooted.fault) == ("ACTIVE", None)
        assert machines.libvirtd.machines() != [process]
        ready(machines)
        assert orchestrator.audit() == ()
        assert orchestrator.stop("one", force=True).vm_state == "STOPPED"
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)


def test_the_console_is_followed_until_the_guest_ends(machines: Machines) -> None:
    with machines.open() as orchestrator, ThreadPoolExecutor(1) as pool:
        run(orchestrator, machines.file())
        following = pool.submit(lambda: b"".join(orchestrator.console("one", follow=True)))
        try:
            one = ready(machines)
            assert not following.done()
            last = b"".join(orchestrator.console("one", lines=1))
            assert last.startswith(b"slipway-guest: ready")
            orchestrator.stop("one", timeout=LONGEST)
            text = following.result(timeout=PATIENCE)
            assert text.decode(errors="replace").replace("\r\n", "\n") == machines.console(one)
            assert b"reboot: Power down" in text
        finally:
            # Who follows would do so for ever.
            machines.libvirtd.clear()


def test_a_guest_that_does_not_hear_is_ended(machines: Machines) -> None:
    """It is not asked before it has booted."""
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        began = time.monotonic()
        assert orchestrator.stop("one", timeout=0.5).vm_state == "STOPPED"
        assert time.monotonic() - began < LONGEST / 2
        (one,) = orchestrator.list()
        assert "Power down" not in machines.console(one)
        assert machines.libvirtd.machines() == []


def test_a_stop_while_libvirtd_is_dead(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        machines.libvirtd.kill()
        one = orchestrator.stop("one", force=True)
        assert (one.vm_state, one.task_state) == ("ACTIVE", None)
        assert one.fault is not None
        assert one.fault.type == "HypervisorUnavailable"
        machines.libvirtd.restart()
        assert orchestrator.audit() == ()
        assert orchestrator.stop("one", force=True).fault is None


def test_a_machine_that_was_killed_is_rebooted(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        (process,) = machines.libvirtd.machines()
        process.kill()
        until(orchestrator.audit, "the finding")
        assert orchestrator.reboot("one").vm_state == "ACTIVE"
        ready(machines)
        assert orchestrator.audit() == ()


# --- machines of other kinds ----------------------------------------------------------------------------------------


def test_a_guest_with_numa_cells_pins_and_shared_memory(machines: Machines) -> None:
    flavor = "vcpus: 2, numa_cells: 2, pin_cpus: [0, 0], shared_memory: true"
    with machines.open() as orchestrator:
        run(orchestrator, machines.file(flavor=flavor, memory="256MiB"))
        one = ready(machines)
        assert "SRAT: PXM 1 -> APIC 0x01 -> Node 1" in machines.console(one)
        (process,) = machines.libvirtd.machines()
        assert "memory-backend-memfd" in " ".join(process.cmdline())
        assert [{0}, {0}] == [cpus for cpus in map(affinity, process.threads()) if cpus == {0}][:2]


def affinity(thread: Any) -> set[int]:
    return os.sched_getaffinity(thread.id)


def nvram(machines: Machines) -> list[Path]:
    return list((machines.libvirtd.root / "lib").rglob("*_VARS.fd"))


def test_a_guest_on_uefi_and_its_nvram(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file(image=", firmware: uefi", memory="256MiB"))
        one = ready(machines)
        assert re.search(r"efi: EFI v[0-9.]+ by EDK II", machines.console(one))
        assert len(nvram(machines)) == 1
        orchestrator.stop("one", force=True)
        assert len(nvram(machines)) == 1, "it is kept while the domain is defined"
        orchestrator.delete("one")
        assert nvram(machines) == []
        assert_nothing_is_left(machines, orchestrator)


def test_an_older_machine(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file(image=", machine: pc"))
        one = ready(machines)
        assert "i440FX" in machines.console(one)


# --- what fails before the machine runs -----------------------------------------------------------------------------


def four_times_all_memory() -> str:
    return f"{4 * psutil.virtual_memory().total >> 20}MiB"


FAILURES: dict[str, tuple[Callable[[Machines], RunFile], str, str]] = {
    "kernel missing": (lambda m: m.file(kernel=Path("/no/such/kernel")), "ComputeError", "/no/such/kernel"),
    "memory too large": (lambda m: m.file(memory=four_times_all_memory()), "ComputeError", "allocate memory"),
    "no such machine": (
        lambda m: m.file(image=", machine: pc-q35-0.1"),
        "UnsupportedHardware",
        "pc-q35-0.1",
    ),
    "no such CPU": (lambda m: m.file(flavor="vcpus: 1, pin_cpus: [500]"), "ComputeError", "affinity"),
    "no huge pages": (lambda m: m.file(flavor="vcpus: 1, hugepages: 1GiB", memory="4GiB"), "ComputeError", ""),
    "image missing": (
        lambda m: m.file(image="path: /no/such/image, format: qcow2"),
        "ImageUnacceptable",
        "image guest: /no/such/image cannot be read: No such file",
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_and_leaves_nothing(machines: Machines, what: str) -> None:
    """L5."""
    make, kind, text = FAILURES[what]
    with machines.open() as orchestrator:
        ended = run(orchestrator, make(machines))
        assert ended.status is Status.FAILED
        assert ended.instance is not None
        fault = ended.instance.fault
        assert fault is not None
        assert (fault.type, text in fault.message, "\n" in fault.message) == (kind, True, False), fault.message
        assert ended.stuck == ()
        assert all(effect.state is EffectState.UNDONE for effect in ended.undone)
        assert_nothing_is_left(machines, orchestrator)


def a_kernel_that_never_comes(machines: Machines) -> Path:
    """QEMU opens its kernel before it answers libvirt, and waits for a pipe without a writer: a start that hangs."""
    pipe = machines.state.parent / "kernel"
    os.mkfifo(pipe)
    return pipe


def test_qemu_killed_while_it_starts(machines: Machines) -> None:
    with machines.open() as orchestrator, ThreadPoolExecutor(1) as pool:
        building = pool.submit(run, orchestrator, machines.file(kernel=a_kernel_that_never_comes(machines)))
        (process,) = until(machines.libvirtd.machines, "QEMU")
        process.kill()
        ended = building.result()
        assert ended.status is Status.FAILED
        assert ended.instance is not None
        assert ended.instance.fault is not None
        assert (ended.instance.fault.type, ended.instance.fault.step) == ("ComputeError", "spawn")
        assert ended.stuck == ()
        assert_nothing_is_left(machines, orchestrator)


def test_libvirtd_killed_while_qemu_starts(machines: Machines) -> None:
    """Nobody can say what became of the machine: what it may use is held until somebody can."""
    with machines.open() as orchestrator:
        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(run, orchestrator, machines.file(kernel=a_kernel_that_never_comes(machines)))
            (process,) = until(machines.libvirtd.machines, "QEMU")
            machines.libvirtd.kill()
            ended = building.result()
        assert ended.instance is not None
        assert ended.instance.fault is not None
        assert (ended.instance.fault.type, ended.instance.fault.step) == ("HypervisorUnavailable", "spawn")
        assert {effect.kind for effect in ended.stuck} == {"domain", "definition", "disk", "seed", "claim"}
        assert any(name.startswith("disks/") for name in machines.files())
        process.kill()
        machines.libvirtd.restart()
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)


# --- what fails while the machine runs ------------------------------------------------------------------------------


def test_qemu_killed_while_it_runs(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        (process,) = machines.libvirtd.machines()
        process.kill()
        (finding,) = until(orchestrator.audit, "the finding")
        assert (finding.difference, finding.kind) == (Difference.DIFFERENT, "domain")
        assert "crashed" in finding.detail
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)


def test_libvirtd_killed_while_a_machine_runs(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        (process,) = machines.libvirtd.machines()
        machines.libvirtd.kill()
        (finding,) = orchestrator.audit()
        assert (finding.difference, finding.kind) == (Difference.UNREACHABLE, "domain")
        assert orchestrator.delete("one").vm_state == "ERROR"
        assert machines.libvirtd.machines() == [process], "the machine lives on"
        assert any(name.startswith("disks/") for name in machines.files()), "and so do its disks"
        machines.libvirtd.restart()
        assert machines.libvirtd.machines() == [process]
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)


def test_a_machine_that_was_stopped_by_a_signal_is_deleted(machines: Machines) -> None:
    with machines.open() as orchestrator:
        run(orchestrator, machines.file())
        (process,) = machines.libvirtd.machines()
        process.send_signal(signal.SIGSTOP)
        orchestrator.delete("one")
        assert_nothing_is_left(machines, orchestrator)
