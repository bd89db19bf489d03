"""Work inside network namespaces."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway.drivers.wiring.linuxbridge.namespace import exists, inside, open_links, run
from slipway.errors import WiringError
from tests.waiting import PATIENCE

pytestmark = pytest.mark.host


def here() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def open_files() -> Counter[str]:
    """What this process has open. What another test has left of that may be closed at any time, by the collector."""
    with os.scandir("/proc/self/fd") as entries:
        return Counter(os.readlink(entry) for entry in entries)


def test_only_the_thread_that_asks_is_inside(netns: str) -> None:
    before = here()
    with inside(netns):
        assert here() != before
        with inside(None):
            assert here() != before
    with ThreadPoolExecutor(1) as pool:
        pool.submit(here).result()
        with inside(netns):
            assert pool.submit(here).result() == before
    assert here() == before


def test_an_error_inside_leads_back(netns: str) -> None:
    before = here()
    with pytest.raises(KeyError), inside(netns):
        raise KeyError
    assert here() == before


def test_links_of_the_namespace_and_nothing_left_open(netns: str) -> None:
    with open_links(netns):
        pass
    before, threads = open_files(), threading.active_count()
    for _ in range(20):
        with open_links(netns) as links:
            assert [link.get("ifname") for link in links.get_links()] == ["lo"]
    assert (open_files() - before, threading.active_count()) == (Counter(), threads)


def test_a_program_runs_inside(netns: str) -> None:
    with inside(netns):
        there = here()
    assert run(netns, ["readlink", "/proc/self/ns/net"], timeout=PATIENCE).stdout.strip() == there
    assert run(None, ["readlink", "/proc/self/ns/net"], timeout=PATIENCE).stdout.strip() == here()
    assert run(netns, ["cat"], input="x; $(id)\n", timeout=PATIENCE).stdout == "x; $(id)\n"


def test_a_program_that_fails(netns: str) -> None:
    with pytest.raises(WiringError, match=r"cat /no/such: cat: /no/such: No such file"):
        run(netns, ["cat", "/no/such"], timeout=PATIENCE)
    assert run(netns, ["cat", "/no/such"], timeout=PATIENCE, check=False).returncode == 1
    with pytest.raises(WiringError, match=r"no-such-program is not installed"):
        run(netns, ["no-such-program"], timeout=PATIENCE)
    with pytest.raises(WiringError, match=r"not done after 0\.1 s"):
        run(netns, ["sleep", "60"], timeout=0.1)


def test_absent_namespaces_and_names_that_are_none(netns: str) -> None:
    assert exists(None)
    assert exists(netns)
    assert not exists(f"{netns}-not")
    with pytest.raises(WiringError, match=f"ip netns add {netns}-not"), inside(f"{netns}-not"):
        pass
    for name in ("", ".", "..", "../netns", "/proc/1/ns/net", "a\0b"):
        with pytest.raises(WiringError, match="is not the name of a network namespace"):
            exists(name)
