"""MAC addresses, one spelling each: a MAC is one MAC, however it is written."""

from __future__ import annotations

import re

# Six groups of octets, three as Cisco writes them, two as PostgreSQL does, or none; one separator throughout.
_FORMS = tuple(
    re.compile(re.escape(separator).join([f"([0-9a-f]{{{digits}}})"] * groups))
    for separators, digits, groups in ((":-", "1,2", 6), (":-.", "1,4", 3), (":-", "5,6", 2), ("-", "11,12", 1))
    for separator in separators
)


def spelled(text: object) -> str | None:
    """The MAC address in lower case with colons; None for what is none. Neutron spells so since 2026.2."""
    for form in _FORMS:
        if isinstance(text, str) and (match := form.fullmatch(text.lower())):
            groups = match.groups()
            return bytes.fromhex("".join(group.zfill(12 // len(groups)) for group in groups)).hex(":")
    return None
