"""Which of a user's keys is taken for a guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.cli.sshclient import identity_for


@pytest.mark.parametrize("options", ["", 'from="10.0.0.0/8",command="echo a b" '])
def test_the_key_that_the_guest_was_given(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".ssh").mkdir()
    for name, text in {"a": "ssh-ed25519 AAAAother me", "b": "ssh-ed25519 AAAAmine me", "c": "damaged"}.items():
        (tmp_path / ".ssh" / name).touch()
        (tmp_path / ".ssh" / f"{name}.pub").write_text(text)
    assert identity_for([f"{options}ssh-ed25519 AAAAmine"]) == str(tmp_path / ".ssh" / "b")
    assert identity_for([f"{options}ssh-ed25519 AAAAnobodys"]) is None
