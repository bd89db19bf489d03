"""What is secret in a text, and what would change a terminal."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidFile, SlipwayError
from slipway.texts import harmless, harmless_json, masked, masked_url, named, one_line, said

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("postgresql://bob:hunter2@db:5432/slipway", "postgresql://bob:***@db:5432/slipway"),
        ("postgresql://bob@db/slipway", "postgresql://bob@db/slipway"),
        ("redis://:hunter2@db", "redis://:***@db"),
        ("at 'https://bob:hunter2@host/a.img': 404", "at 'https://bob:***@host/a.img': 404"),
        ("https://bob:x@hunter2@host/a", "https://bob:***@host/a"),
        ("https://bob:x/hunter2@host/a@b", "https://bob:***@host/a@b"),
        ("https://bob:it's%hunter2@host/a", "https://bob:***@host/a"),
        ("https://hunter2@host/a", "https://***@host/a"),
        ("git+https://hunter2@host/a.", "git+https://***@host/a."),
        (
            "https://h/i?X-Amz-Signature=hunter2&X-Amz-Date=1: gone",
            "https://h/i?X-Amz-Signature=***&X-Amz-Date=***: gone",
        ),
        ("https://h/i?hunter2", "https://h/i?***"),
        ("https://h/i?next=https://u:hunter2@x/", "https://h/i?next=***"),
        ("https://h/i#access_token=hunter2", "https://h/i#access_token=***"),
        ("https://a:hunter2@h/1, https://b:hunter2@h/2", "https://a:***@h/1, https://b:***@h/2"),
        ("host=db password=hunter2 user=bob", "host=db password=*** user=bob"),
        ("password='hunter2 and more' x", "password=*** x"),
        ("AWS_SECRET=hunter2, OS_TOKEN=hunter2", "AWS_SECRET=***, OS_TOKEN=***"),
        ("sqlite:////var/lib/a@b/slipway.db", "sqlite:////var/lib/a@b/slipway.db"),
        ("qemu+ssh://root@host/system", "qemu+ssh://root@host/system"),
        ("https://host:8080/a.img", "https://host:8080/a.img"),
        ("http://[::1]:9696/v2.0", "http://[::1]:9696/v2.0"),
        ("10 % of a = b: nothing secret", "10 % of a = b: nothing secret"),
    ],
)
def test_what_is_secret_is_masked(text: str, right: str) -> None:
    assert masked(text) == right
    assert masked(right) == right


def test_a_whole_url_may_have_blanks_in_its_password() -> None:
    assert masked_url("postgresql://bob:my hunter2@db/slipway") == "postgresql://bob:***@db/slipway"


# What a password may be, as RFC 3986 has it and as people type it: everything but blanks, @ and what ends a path.
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="@"), min_size=1)


@given(password=PASSWORDS)
def test_no_password_is_left(password: str) -> None:
    assert masked(f"before https://bob:{password}@host/a after") == "before https://bob:***@host/a after"


def test_errors_of_ours_bear_no_secret_wherever_they_are_shown() -> None:
    error = SlipwayError(f"https://u:{SECRET}@host: refused")
    invalid = InvalidFile((f"a.yaml:1:1: https://u:{SECRET}@host", "b"))
    for one in (error, pickle.loads(pickle.dumps(error)), invalid):
        assert SECRET not in f"{one} {one!r} {one.args} {getattr(one, 'problems', '')}"
    foreign = OSError(f"https://u:{SECRET}@host: refused")
    assert said(foreign) == "https://u:***@host: refused"
    assert named(foreign) == "OSError: https://u:***@host: refused"
    assert said(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb", "a\\x0db"),
        ("a\x7f\x08", "a\\x7f\\x08"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\u2028b", "a\\u2028b"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\tb\nc é 漢 👩\u200d🔬", "a\tb\nc é 漢 👩\u200d🔬"),
    ],
)
def test_what_would_change_a_terminal_is_escaped(text: str, right: str) -> None:
    assert harmless(text) == right


def test_one_line() -> None:
    assert one_line("first\nsecond\tthird\x1b") == "first second third\\x1b"


@given(value=st.text())
def test_harmless_json_says_the_same(value: str) -> None:
    text = harmless_json(json.dumps([value], ensure_ascii=False))
    assert json.loads(text) == [value]
    assert harmless(text) == text
