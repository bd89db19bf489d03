from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from slipway.drivers.files import locked
from tests import compiled, record
from tests import postgresql as postgresqls
from tests.host.libvirtd import Libvirtd, missing
from tests.neutron.process import HOSTS, PYTHON, Neutron, running

BOOT = "console=ttyS0 no_timer_check"
"""Of a guest's kernel, which would else take its timer for dead where processors are busy, and stop."""


GUEST = Path(__file__).parent.parent / "examples" / "real" / "guest.py"
"""What the tests' guest is made by."""


class Guest(NamedTuple):
    """What the least real guest is booted from."""

    kernel: Path
    initrd: Path

    @property
    def image(self) -> str:
        """What an image in a run file says."""
        return f'kernel: {self.kernel}, initrd: {self.initrd}, cmdline: "{BOOT}"'


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """A libvirtd with QEMU that is ours alone."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    if reason := missing():
        pytest.skip(reason)
    # In a short path, for sockets are in it.
    with tempfile.TemporaryDirectory(prefix="slipway-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        daemon = Libvirtd(Path(directory))
        yield daemon
        daemon.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresqls.PostgreSQL]:
    """A server of PostgreSQL's that is ours alone, one for each worker of pytest."""
    if reason := postgresqls.missing():
        pytest.skip(reason)
    with postgresqls.started() as server:
        yield server


@pytest.fixture
def database(postgresql: postgresqls.PostgreSQL) -> str:
    """The URL of an empty database of PostgreSQL's."""
    return postgresql.empty()


@pytest.fixture
def netns() -> Iterator[str]:
    """A network namespace that is ours alone."""
    if reason := missing():
        pytest.skip(reason)
    name = f"slp-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(scope="session")
def neutron() -> Iterator[Neutron]:
    """A real Neutron, one for each worker of pytest; its hosts are node-1 and node-2."""
    pytest.importorskip("openstack", reason="openstacksdk is not installed")
    if not PYTHON.exists():
        pytest.skip(f"no Neutron is installed in {PYTHON.parents[1].name}; tests/run installs it")
    with running(HOSTS) as neutron:
        yield neutron


def make_guest(directory: Path) -> Guest:
    """What the example's program makes there."""
    spec = importlib.util.spec_from_file_location("slipway_example_guest", GUEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Guest(*module.make(directory))


@pytest.fixture(scope="session")
def guest(pytestconfig: pytest.Config) -> Guest:
    """Made once for all runs from this checkout; its kernel is downloaded."""
    if reason := missing():
        pytest.skip(reason)
    directory = pytestconfig.cache.mkdir(f"guest-{hashlib.sha256(GUEST.read_bytes()).hexdigest()[:8]}")
    with locked(directory):
        return make_guest(directory)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=["sqlite", "postgresql"], default="sqlite", help="what has the record")


def pytest_configure(config: pytest.Config) -> None:
    # What tests start heeds Ctrl-C, also where this is a background job of a script: there it comes ignored.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    compiled.share()
    if record.on_postgresql():
        record.keep_here()
    elif config.option.db == "postgresql":
        # One for all workers of pytest, which this process starts later.
        there = contextlib.ExitStack()
        config.add_cleanup(there.close)
        there.enter_context(record.kept_in(there.enter_context(postgresqls.started({"max_connections": 500}))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """The databases of a test go with it."""
    yield
    place = getattr(item, "funcargs", {}).get("tmp_path")
    if place is not None and record.on_postgresql():
        record.drop_below(place)


FIRST = ("test_checks.py", "test_drill_matrix.py", "test_alike.py", "test_neutron_keystone.py")
"""The files with the longest tests: begun last, one would be waited for by all but one of the processors."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    of_files = [item for item in items if item.get_closest_marker("sqlite")]
    for item in of_files:
        if not any(mark.args for mark in item.iter_markers("sqlite")):
            raise pytest.UsageError(f"{item.nodeid}: why is it SQLite's alone? Say so in its marker")
    if record.on_postgresql():
        config.hook.pytest_deselected(items=of_files)
        items[:] = [item for item in items if item not in of_files]
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped: a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {report.longrepr}")
