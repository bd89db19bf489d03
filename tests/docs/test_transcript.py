from __future__ import annotations

import re

from tests.docs.transcript import PAGE, page


def test_each_command_says_what_the_page_has() -> None:
    """Widths follow what was replaced, and are not compared."""
    typed, written = (re.sub(r" +", " ", text).splitlines() for text in (page(), PAGE.read_text()))
    assert typed == written, "write it anew: python -m tests.docs.transcript"
    assert "slipway: " not in PAGE.read_text(), "a command was refused"
