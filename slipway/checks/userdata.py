"""What cloud-init would pass over of the user data that are meant for it, by its first lines (seen with 22.4)."""

from __future__ import annotations

import re

_MARK = "\ufeff"

_BEGINNINGS = (
    *("#!", "#cloud-config", "#cloud-boothook", "#include", "#part-handler", "## template:"),
    *("content-type:", "mime-version:"),
)
"""How user data begin that cloud-init knows, in lower case; a message too (MIME), whose parts it looks at."""

_AT_THE_VERY_BEGINNING = ("#!", "## template:", "content-type:", "mime-version:")
"""Those before which there may be nothing: the kernel, Jinja and the message's reader look at the first line."""


_SLIP = re.compile(r"#+\s*cloud[-_ ]*(config|init)\b")
"""What is one of them but for a slip."""


_LONGEST = 40
"""Characters that are enough to tell."""


def user_data_mistake(text: str) -> str | None:
    """Why cloud-init would not do what these user data say; None: it would, or they are meant for something else.

    Blank lines before `#cloud-config`, capitals in it, and line ends of Windows are no trouble to it.
    """
    rest = text.lstrip(f"{_MARK} \t\r\n\v\f")
    begins = rest[:_LONGEST].lower()
    word = next((word for word in _BEGINNINGS if begins.startswith(word)), None)
    if word is None:
        slip = _SLIP.match(begins)
        return slip and f"user_data begin with {slip.group()}, which cloud-init does not know; it must be #cloud-config"
    if _MARK in text[: len(text) - len(rest)]:
        return f"user_data begin with a byte-order mark, after which cloud-init does not see {word}; save them without"
    if text[0].isspace() and word in _AT_THE_VERY_BEGINNING:
        return f"user_data must begin with {word} itself: with a blank before it cloud-init cannot use them"
    return None
