from __future__ import annotations

import re

import pytest

from tests.conftest import Guest
from tests.docs.real_transcript import PAGE, page

_COMMAND = re.compile(r"^    \$ (.*)$", re.MULTILINE)
_ADDRESS = re.compile(r"\b10\.\d+\.0\.\d+\b|hyper-[ab]|\$[AB]\b")


@pytest.mark.host
@pytest.mark.slow
def test_all_of_it_is_typed_and_every_damage_is_found_and_mended(guest: Guest) -> None:
    text, codes = page(guest)
    typed, written = (_COMMAND.findall(_ADDRESS.sub("_", one)) for one in (text, PAGE.read_text()))
    assert typed == written, "write it anew: python -m tests.docs.real_transcript"
    refused = [command for command, code in codes if code not in (0, 5)]
    assert [re.sub("hyper-.", "_", one) for one in refused] == ["move web-1 --to _ --yes", *["reboot web-1"] * 2]
    mended = [(int(found), int(done)) for found, done in re.findall(r"(\d+) found, (\d+) mended", text)]
    assert [pair for pair in mended if pair[0] != pair[1]] == [(1, 0)], "a disk under a guest that runs alone is left"
