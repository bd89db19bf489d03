"""Texts fit to be kept and shown: without what is secret in them, and without what would change a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
# A password may have any sign in it that is typed into a shell: it ends at the last @ before the next slash.
_PASSWORD = re.compile(r"(?<=://)([^:/?#@]*):[^@]*(?:@[^@/?#]*)*@")
_BARE_PASSWORD = re.compile(r"^([^:/?#@]*):[^@]*(?:@[^@/?#]*)*@")
_TOKEN = re.compile(r"(?<=://)[^:/?#@]+@")
_NAMED = re.compile(
    r"(?i)(password|passwd|pwd|secret|token|signature|(?<![a-z])sig|credentials?|api[_-]?key)="
    r"(?:'[^']*'|\"[^\"]*\"|[^\s&,;'\"]+)"
)
_CLOSING = ".,:;!)]}>'\"`"

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_INVISIBLE = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
"""What reverses the order of letters, and what begins a line that no newline begins."""
_SURROGATES = "\ud800-\udfff"
# Compiled when a text first needs them: with such characters that takes longer than all that most commands look for.
_UNFIT = f"[{_CONTROLS}{_INVISIBLE}{_SURROGATES}]"
_NO_UTF8 = f"[{_SURROGATES}]"
_NOT_JSON = f"[\x7f-\x9f{_INVISIBLE}]"


class Secret(str):
    """A text that shows as `***` wherever it is shown as a value: in a record's repr, a list, a traceback.

    Put into another text it is what it is, so that tasks can use it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


def some(texts: Sequence[str], most: int, *, between: str = ", ", last: str = " and") -> str:
    """The first few of so many, and how many more there are."""
    more = f"{last} {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def masked(text: str) -> str:
    """The text with `***` for what is secret in it: passwords and tokens of URLs, every value of their queries, and
    what stands after `password=` and its like."""
    if "://" in text:
        text = _URL.sub(lambda found: masked_url(found.group()), text)
    return _NAMED.sub(rf"\1={MASK}", text) if "=" in text else text


def masked_url(url: str) -> str:
    """The same of what is known to be one URL: there may be blanks in its password."""
    head = url.rstrip(_CLOSING)
    closing = url[len(head) :]
    password = _PASSWORD if "://" in head else _BARE_PASSWORD
    head = password.sub(rf"\1:{MASK}@", head)
    head, question, query = head.partition("?")
    if not question:
        head, question, query = head.partition("#")
    if head.partition("://")[0].lower().endswith(("http", "https", "ftp")):
        head = _TOKEN.sub(f"{MASK}@", head)
    values = "&".join(_masked_value(pair) for pair in query.split("&")) if query else ""
    return f"{head}{question}{values}{closing}"


def _masked_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK


def harmless(text: str) -> str:
    """The text with escapes (`\\x1b`, `\\u202e`) for what would move a cursor, colour or clear a screen, or show
    letters in another order than they have; newlines and tabs stay, bytes of a file's name that are no UTF-8 are
    `\\xff`."""
    return text if text.isprintable() else re.sub(_UNFIT, _escape, text)


def one_line(text: str) -> str:
    """Harmless, and in one line whatever is in it."""
    return harmless(" ".join(text.split("\n")).replace("\t", " ")) if "\n" in text or "\t" in text else harmless(text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def encodable(text: str) -> str:
    """The text with escapes for what no UTF-8 can say: bytes of a file's name, mostly."""
    return text if text.isascii() else re.sub(_NO_UTF8, _escape, text)


def harmless_json(text: str) -> str:
    """JSON that says the same and moves no terminal: JSON itself escapes only the first 32 characters."""
    if text.isprintable():
        return text
    return re.sub(_NOT_JSON, lambda found: f"\\u{ord(found.group()):04x}", text)


def said(error: BaseException) -> str:
    """What an error says, without secrets; the name of its class where it says nothing."""
    return masked(str(error)) or type(error).__name__


def named(error: BaseException) -> str:
    """`DiskError: no room`: an error's class and what it says, without secrets."""
    return f"{type(error).__name__}: {masked(str(error))}"


def seconds_text(seconds: float) -> str:
    """A duration for people: `41 ms`, `3.2 s`, `2 min 03 s`."""
    if seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
