from __future__ import annotations

import re

import pytest

from tests.conftest import Guest
from tests.docs.first_quarter import typed, written
from tests.host.reachable import PAGE as ANSWER
from tests.host.reachable import missing


@pytest.mark.host
@pytest.mark.slow
def test_each_command_says_what_the_page_has_up_to_a_web_servers_answer(guest: Guest) -> None:
    """Widths follow what was replaced, and are not compared."""
    if reason := missing():
        pytest.skip(reason)
    now, then = (re.sub(r" +", " ", text).split("\n") for text in (typed(guest).strip(), written().strip()))
    assert now == then, "write it anew: python -m tests.docs.first_quarter"
    assert f"    {ANSWER}" in written()
