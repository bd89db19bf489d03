"""A disk's call is back when it is to be, whatever a server, a program or another worker does; images have limits."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.deadline import within
from slipway.drivers.disk.qcow2.driver import Qcow2Disk
from slipway.drivers.images import room
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.errors import DiskError, ImageUnacceptable, SlipwayError, StepTimeout
from slipway.model.machine import DiskRequest, DiskRole
from slipway.model.request import Flavor, Host, Image, InstanceRequest, Volume
from slipway.orchestrator import BuildFailed, Orchestrator, default_drivers
from slipway.runfile import loads
from slipway.settings import Settings
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed"),
]

MIB = 1 << 20
HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
CONTENT = bytes(range(256)) * 64
TIME = 1.0
"""Seconds that a call is given here."""


class Server(ThreadingHTTPServer):
    """Answers a GET with what `answer` sends, on loopback."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[str | None] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/image"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Range"])
        try:
            self.server.answer(self)
        except OSError:
            self.close_connection = True

    def begin(self, length: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def drip(self, content: bytes) -> None:
        """Some bytes now and then: never silent, and never at an end."""
        for at in range(len(content)):
            if self.server.over.wait(0.05):
                self.close_connection = True
                return
            self.wfile.write(content[at : at + 1])
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server passes
        """Nothing."""


@contextmanager
def serving(answer: Callable[[Handler], None]) -> Iterator[Server]:
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def wanted(path: Path | str, instance: str = "one", **more: Any) -> DiskRequest:
    image = Image("img", path=str(path), **{"format": "raw", **more})
    return DiskRequest(instance, 0, DiskRole.ROOT, 20 * MIB, image)


def by_http(server: Server, content: bytes = CONTENT, **more: Any) -> DiskRequest:
    """`more`: the instance, or what is known of the image."""
    return wanted(server.url, sha256=hashlib.sha256(content).hexdigest(), **more)


def driver(tmp_path: Path) -> Qcow2Disk:
    return Qcow2Disk(HOST, tmp_path / "state", "slipway")


def fails_in_time(call: Callable[[], object], kind: type[SlipwayError] = StepTimeout) -> str:
    """What the call, which would take for ever, says when its time is over."""
    began = time.monotonic()
    with within(TIME), pytest.raises(kind) as caught:
        call()
    assert time.monotonic() - began < PATIENCE / 10
    return str(caught.value)


# --- slow servers -------------------------------------------------------------------------------------------------


def body(handler: Handler) -> None:
    handler.begin(len(CONTENT))
    handler.wfile.write(CONTENT[:1000])
    handler.drip(CONTENT[1000:])


def chunk(handler: Handler) -> None:
    handler.begin(Transfer_Encoding="chunked")
    handler.wfile.write(b"4\r\nabcd\r\n")
    handler.drip(b"0" * 10_000)


def headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    handler.drip(b"x" * 10_000)


def silence(handler: Handler) -> None:
    handler.server.over.wait(PATIENCE)


def redirects(handler: Handler) -> None:
    time.sleep(0.3)
    handler.begin(0, 302, Location=f"{handler.server.url}?{len(handler.server.asked)}")


@pytest.mark.parametrize("answer", [body, chunk, headers, silence, redirects], ids=lambda answer: answer.__name__)
def test_a_slow_servers_image_is_given_up_in_time(tmp_path: Path, answer: Callable[[Handler], None]) -> None:
    with serving(answer) as server:
        said = fails_in_time(lambda: driver(tmp_path).create_disk(by_http(server)))
    assert said.startswith(f"image img: {server.url} is too slow: ")


def test_a_look_up_that_takes_for_ever_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: over.wait(PATIENCE) and [])
    request = wanted("http://slow.example/image", sha256="0" * 64)
    assert "is too slow" in fails_in_time(lambda: driver(tmp_path).create_disk(request))
    over.set()


def test_what_came_in_time_is_gone_on_from(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        if (asked := handler.headers["Range"]) is None:
            return body(handler)
        rest = CONTENT[int(asked.removeprefix("bytes=").removesuffix("-")) :]
        handler.begin(len(rest), 206)
        handler.wfile.write(rest)
        return None

    with serving(answer) as server:
        said = fails_in_time(lambda: driver(tmp_path).create_disk(by_http(server)))
        have = int(said.rpartition("; ")[2].split()[0])
        assert 1000 <= have < 1100
        assert driver(tmp_path).create_disk(by_http(server)).size == 20 * MIB
        assert server.asked == [None, f"bytes={have}-"]


def test_what_came_whole_is_not_asked_for_again(tmp_path: Path) -> None:
    """The time was over when all of it was there and not looked through yet."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    (tmp_path / "state" / "images").mkdir(parents=True)
    (tmp_path / "state" / "images" / f"{digest}.tmp").write_bytes(CONTENT)
    with serving(silence) as server:
        assert driver(tmp_path).create_disk(by_http(server)).size == 20 * MIB
        assert server.asked == []


def test_one_slow_image_holds_up_no_other(tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"local".ljust(MIB, b"\0"))
    with serving(body) as slow, serving(quick) as fast, ThreadPoolExecutor(2) as pool:
        downloads = [pool.submit(_download, tmp_path, slow) for _ in range(2)]
        until(lambda: slow.asked, "the download")
        with within(TIME):
            driver(tmp_path).create_disk(wanted(tmp_path / "local", "two"))
            driver(tmp_path).create_disk(replace(by_http(fast, b"fast"), instance_id="three"))
        slow.over.set()
        said = [future.result(PATIENCE) for future in downloads]
    # Who wants the same image waits for it, and goes on from there or tells the same.
    assert [text.startswith("image img: ") for text in said] == [True, True]


def quick(handler: Handler) -> None:
    handler.begin(4)
    handler.wfile.write(b"fast")


def _download(tmp_path: Path, server: Server) -> str:
    with pytest.raises(DiskError) as caught:
        driver(tmp_path).create_disk(by_http(server))
    return str(caught.value)


def test_a_build_from_a_slow_server_holds_up_no_other_build(tmp_path: Path) -> None:
    """And fails by its own deadline, leaving nothing but what came of the image."""

    class WithFiles(Drivers):
        def make(self, host: Host) -> HostDrivers:
            return replace(super().make(host), disk=driver(tmp_path))

    def drivers(store: Any, settings: Settings, state: Path) -> Drivers:
        return WithFiles(default_drivers(store, settings, state).network, state)

    (tmp_path / "local").write_bytes(b"local".ljust(MIB, b"\0"))
    file = loads("schema: 1\nhosts: {h1: {vcpus: 8, memory: 8GiB, disk: 100GiB}}\n", str(tmp_path / "f.yaml"))
    settings = Settings(step_timeout=2.0, max_attempts=1)
    flavor = Flavor("f", 1, MIB, 20 * MIB)
    with (
        serving(body) as server,
        ThreadPoolExecutor(1) as pool,
        Orchestrator(tmp_path / "state", drivers=drivers, settings=settings) as orchestrator,
    ):
        orchestrator.run(file)
        slow = InstanceRequest("slow", flavor, by_http(server).image or Image(""), networks=())
        began, building = time.monotonic(), pool.submit(orchestrator.create, slow)
        until(lambda: server.asked or building.done(), "the download")
        quick = replace(slow, name="quick", image=Image("local", path=str(tmp_path / "local"), format="raw"))
        assert orchestrator.create(quick).vm_state == "ACTIVE"
        with pytest.raises(BuildFailed, match=r"StepTimeout: image img: .* is too slow"):
            building.result(PATIENCE)
        assert time.monotonic() - began < PATIENCE / 10
        assert orchestrator.audit() == ()


# --- how large an image may be ------------------------------------------------------------------------------------


def endless(handler: Handler) -> None:
    handler.begin(Connection="close")
    while not handler.server.over.is_set():
        handler.wfile.write(CONTENT)


def huge(handler: Handler) -> None:
    handler.begin(1 << 60)
    handler.wfile.write(CONTENT)


@pytest.mark.parametrize("answer", [endless, huge], ids=["of no length", "of a length that nobody has"])
def test_more_than_an_image_has_is_not_taken(tmp_path: Path, answer: Callable[[Handler], None]) -> None:
    with serving(answer) as server, pytest.raises(ImageUnacceptable, match=r"has more than the \d+ bytes that it may"):
        driver(tmp_path).create_disk(by_http(server, size=len(CONTENT)))
    assert [path.name for path in (tmp_path / "state" / "images").iterdir()] == [".lock"]


@pytest.mark.parametrize("answer", [endless, huge], ids=["of no length", "of a length that nobody has"])
def test_running_guests_keep_some_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Handler], None]
) -> None:
    """As much as there is now but for some MiB."""
    found = os.statvfs(tmp_path)
    monkeypatch.setattr(room, "_KEPT", found.f_bavail * found.f_frsize - 4 * MIB)
    monkeypatch.setattr(room, "_KEPT_PART", 1)
    monkeypatch.setattr("slipway.drivers.images.download.LARGEST", 1 << 62)
    with serving(answer) as server, pytest.raises(DiskError, match=r"No space left .* of which \d+ are for guests"):
        driver(tmp_path).create_disk(by_http(server))
    (tmp_path / "local").write_bytes(os.urandom(6 * MIB))
    with pytest.raises(DiskError, match=r"No space left .* of which \d+ are for guests"):
        driver(tmp_path).create_disk(wanted(tmp_path / "local"))
    assert [path.name for path in (tmp_path / "state" / "images").iterdir()] == [".lock"]


# --- programs and other workers that do not come to an end ---------------------------------------------------------


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `qemu-img` that never ends where a file named `hang` is in its arguments; the file has its processes' ids."""
    real, pids = shutil.which("qemu-img"), tmp_path / "pids"
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "qemu-img"
    hang = f'case "$*" in *hang*) sleep 300 & echo $$ $! >> {pids}; wait;; esac'
    script.write_text(f'#!/bin/sh\n{hang}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return pids


def test_a_program_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path, hanging: Path) -> None:
    (tmp_path / "hang.raw").write_bytes(CONTENT)
    volume = DiskRequest("one", 1, DiskRole.DATA, 0, volume=Volume(str(tmp_path / "hang.raw"), "raw"))
    assert "qemu-img info did not end within" in fails_in_time(lambda: driver(tmp_path).create_disk(volume))
    for pid in map(int, hanging.read_text().split()):
        while os.path.exists(f"/proc/{pid}") and "Z" not in Path(f"/proc/{pid}/stat").read_text().split():
            time.sleep(0.01)
    assert driver(tmp_path).list_disks() == ()


@pytest.mark.usefixtures("hanging")
def test_a_volume_that_is_looked_through_holds_up_no_other_disk(tmp_path: Path) -> None:
    for name in ("hang.raw", "other.raw"):
        (tmp_path / name).write_bytes(CONTENT.ljust(MIB, b"\0"))

    def volume(name: str, instance: str) -> DiskRequest:
        return DiskRequest(instance, 1, DiskRole.DATA, 0, volume=Volume(str(tmp_path / name), "raw"))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(fails_in_time, lambda: driver(tmp_path).create_disk(volume("hang.raw", "one")))
        time.sleep(0.2)
        with within(TIME / 2):
            driver(tmp_path).create_disk(volume("other.raw", "two"))
            driver(tmp_path).create_disk(DiskRequest("three", 0, DiskRole.DATA, MIB))
        os.link(tmp_path / "hang.raw", tmp_path / "same.raw")
        with within(TIME / 4), pytest.raises(StepTimeout, match="is locked by another"):
            driver(tmp_path).create_disk(volume("same.raw", "four"))
        assert "did not end" in looking.result(PATIENCE)


HOLDER = """
import sys
from pathlib import Path
from slipway.drivers.files import locked
with locked(Path(sys.argv[1]), sys.argv[2] or None):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def stopped(directory: Path, name: str = "") -> Iterator[None]:
    """Another worker has the directory's lock and is stopped."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLDER, str(directory), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.kill()


def test_a_worker_that_is_stopped_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    request = DiskRequest("one", 0, DiskRole.DATA, MIB)
    with stopped(tmp_path / "state" / "disks" / "node-1"):
        said = fails_in_time(lambda: driver(tmp_path).create_disk(request))
        assert "node-1/.lock is locked by another thread or process" in said
        assert "is locked by another" in fails_in_time(lambda: driver(tmp_path).delete_disk("one", 0))
    assert driver(tmp_path).create_disk(request).size == MIB
    digest = hashlib.sha256(CONTENT).hexdigest()
    with serving(body) as server, stopped(tmp_path / "state" / "images", digest):
        assert "is locked by another" in fails_in_time(
            lambda: driver(tmp_path).create_disk(by_http(server, instance="two"))
        )
        assert server.asked == []
