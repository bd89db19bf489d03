"""Whether a URL can be one."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


def url_mistake(url: str, schemes: Collection[str] = ()) -> str | None:
    """What is wrong with a URL of one of these schemes (of any where none is named); None where nothing is.

    The text never has the URL in it: there may be a password in that.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL that can be used: {error}"
    if any(character.isspace() for character in url):
        return "is no URL that can be used: there are blanks in it"
    if schemes and parts.scheme.lower() not in schemes:
        return f"must be a path or a URL of {', '.join(f'{scheme}:' for scheme in schemes)}, not of {parts.scheme}:"
    if parts.scheme.lower() in ("http", "https") and not host:
        return "is no URL that can be used: it names no host"
    if parts.scheme.lower() == "file" and (parts.netloc not in ("", "localhost") or len(parts.path) < 2):
        return "is no URL that can be used: a file: URL names a file of this machine, as in file:///images/a.qcow2"
    return None
