"""The images that guests find their seed on, read by another program's eyes."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycdlib import PyCdlib

from slipway.drivers.disk.qcow2.iso import iso_image

FILES = {"user-data": b"#cloud-config\n" * 500, "meta-data": b"{}", "network-config": b""}


def content(image: bytes, **where: str) -> bytes:
    iso, found = PyCdlib(), io.BytesIO()
    iso.open_fp(io.BytesIO(image))
    iso.get_file_from_iso_fp(found, **where)
    iso.close()
    return found.getvalue()


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,29}", fullmatch=True), st.binary(max_size=5000), max_size=12),
)
def test_each_file_has_its_content_under_both_names(files: dict[str, bytes]) -> None:
    image = iso_image("cidata", files)
    assert len(image) % 2048 == 0
    for name, wanted in files.items():
        assert content(image, joliet_path=f"/{name}") == wanted
        assert content(image, iso_path=f"/{name.upper()}.;1") == wanted


def test_the_same_files_are_the_same_image() -> None:
    assert iso_image("cidata", FILES) == iso_image("cidata", FILES)


def test_it_is_found_by_its_label(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(iso_image("cidata", FILES))
    told = subprocess.run(["blkid", "-p", "-o", "export", path], capture_output=True, text=True, check=True).stdout
    assert {"LABEL=cidata", "TYPE=iso9660", "VERSION=Joliet Extension"} <= {
        line.replace("\\", "") for line in told.splitlines()
    }


def test_what_does_not_fit_the_directory_is_refused() -> None:
    with pytest.raises(ValueError, match="too many files"):
        iso_image("cidata", {f"a-rather-long-name-{number}": b"" for number in range(30)})
