"""What is no terminal gets the same text as rich would write there, without rich's being loaded."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.cli.output import coloured, labelled, table, write
from slipway.cli.pieces import Piece, line
from slipway.cli.plain import plain
from slipway.cli.terminal import show

# What labels are made of begins with a letter: of an empty column rich makes no lines.
LETTERS = ("a", "b", " ", "-", "é", "e\u0301", "漢", "字", "ｱ", "🙂")
TEXTS = st.lists(st.sampled_from(LETTERS), max_size=12).map("".join)
LINES = st.text(alphabet="ab é漢\n", max_size=30)
CELLS = TEXTS | st.builds(coloured, TEXTS) | st.lists(TEXTS, min_size=1, max_size=3)
COLUMNS = ("NAME", "SIZE>", "漢字", "DETAIL")
PIECES = (
    st.builds(line, st.text(alphabet="ab é\n\t", max_size=30))
    | st.builds(coloured, TEXTS)
    | st.builds(table, st.just(COLUMNS), st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=4))
    | st.builds(labelled, st.lists(st.tuples(TEXTS.map("x{}".format), LINES.map("x{}".format)), min_size=1, max_size=4))
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=4))
def test_plain_text_is_what_rich_writes_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], pieces: list[Piece]
) -> None:
    capsys.readouterr()
    show(pieces)
    assert plain(pieces) == capsys.readouterr().out


def test_a_line_is_never_cut_or_folded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    write("a " * 100_000, table(("A", "B"), [("c " * 100_000, "d")], folded=("A",)))
    text, header, row = capsys.readouterr().out.splitlines()
    assert text == ("a " * 100_000).rstrip()
    assert header.split() == ["A", "B"]
    assert row == "c " * 100_000 + "  d"


def test_colours_are_written_to_a_pipe_where_they_are_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    write(coloured("ACTIVE"))
    assert capsys.readouterr().out == "\x1b[32mACTIVE\x1b[0m\n"
