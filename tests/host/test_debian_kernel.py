"""The host's networks under Debian's kernel, which users have: with VLANs, and connections tracked in bridges."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.host.debian_kernel import VIRTIOFSD, run_under_debian_kernel
from tests.host.libvirtd import missing

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
FILES = ("vlan_packets", "test_linuxbridge", "test_filters", "test_wiring_failures")


@pytest.mark.slow
def test_what_depends_on_the_kernel(tmp_path: Path) -> None:
    if reason := missing() or (None if VIRTIOFSD.exists() else f"{VIRTIOFSD} is not there"):
        pytest.skip(reason)
    options = ["-m", "kernel", "-n", "0", "-p", "no:cacheprovider", "--color=no", "--durations=12"]
    tests = [f"tests/host/{name}.py" for name in FILES]
    code, said = run_under_debian_kernel(
        [sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT, scratch=tmp_path, within=600
    )
    print(said)
    assert code == 0, said
    assert re.search(r"^[1-9]\d* passed, \d+ deselected in", said, re.MULTILINE), said
