"""By which keys guests are known: what a console's log tells, and what is kept."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from slipway.operations import hostkeys


def key(kind: str, fill: bytes = b"k") -> str:
    return f"{kind} {b64encode(len(kind).to_bytes(4, 'big') + kind.encode() + 40 * fill).decode()}"


def block(*lines: str) -> str:
    return "\r\n".join(("-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----", ""))


def test_the_last_block_of_the_log_counts_and_what_is_no_key_is_passed_over(tmp_path: Path) -> None:
    first, ed, ecdsa = key("ssh-ed25519", b"a"), key("ssh-ed25519"), key("ecdsa-sha2-nistp256")
    log = tmp_path / "log"
    lying = key("ssh-rsa").replace("ssh-rsa", "ssh-dss", 1)
    said = block(f"{ed} root@web-1", f"[   9.1] cloud-init[312]: {ecdsa} root@web-1", lying, "ssh-ed25519 AAAA", ed)
    log.write_text(f"booting\r\n{block(first)}again\r\n{said}{key('ssh-rsa')}\r\nlogin: ")
    assert hostkeys.in_log(str(log)) == (ed, ecdsa)


def test_a_block_that_virtlogd_put_aside_is_found_and_one_that_has_not_ended_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert hostkeys.in_log(None) == hostkeys.in_log(str(log)) == ()
    log.write_text(block(key("ssh-rsa")).partition("-----END")[0])
    assert hostkeys.in_log(str(log)) == ()
    (tmp_path / "log.0").write_text(block(key("ssh-rsa")))
    assert hostkeys.in_log(str(log)) == (key("ssh-rsa"),)


def test_a_guest_s_keys_are_kept_beside_those_of_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert hostkeys.kept(state, "one") == ()
    hostkeys.keep(state, "one", (key("ssh-rsa"),))
    hostkeys.keep(state, "two", (key("ssh-rsa"), key("ssh-ed25519")))
    hostkeys.keep(state, "one", (key("ssh-ed25519"),))
    assert hostkeys.kept(state, "one") == (key("ssh-ed25519"),)
    assert hostkeys.kept(state, "two") == (key("ssh-rsa"), key("ssh-ed25519"))
    assert hostkeys.path_of(state).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [f"x{key('ssh-rsa')}=", f"{key('ssh-rsa')}====", "ssh-rsa " + "A" * 40])
def test_what_is_no_key(line: str) -> None:
    assert hostkeys.legible([line]) == ()
