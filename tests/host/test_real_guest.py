"""The least real guest, as its maker's first lines say that it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.real.guest import unpack
from tests.host.libvirtd import missing


@pytest.mark.host
def test_packages_are_unpacked_below_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := missing():
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    assert (unpack("busybox-static", Path("demo")) / "bin" / "busybox").is_file()
