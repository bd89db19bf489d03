"""What a scalar of a YAML file stands for: YAML 1.2, section 10.3.2 (core schema); what matches nothing is a string."""

from __future__ import annotations

import math
import re
from typing import Any

from slipway.yamlfile.mistakes import quoted
from slipway.yamlfile.units import LARGEST

_LONGEST_NUMBER = 64
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
)
_BAD_IN_VALUE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"


def check_characters(text: str) -> None:
    """Raise `ValueError` where a text has a control character, be it by an escape."""
    if not text.isprintable() and (bad := re.search(_BAD_IN_VALUE, text)):
        raise ValueError(f"character U+{ord(bad[0]):04X} is not allowed in a text")


def resolve(text: str) -> Any:
    """The value of a plain scalar. Raises `ValueError` for a number out of bounds."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if _INT.fullmatch(text):
        # Python reads 0o17 and 0x1F with base 0, but takes a leading zero for a mistake there.
        number = int(text, 0 if text[1:2] in ("o", "x") else 10) if len(text) <= _LONGEST_NUMBER else LARGEST + 1
        if not -LARGEST <= number <= LARGEST:
            raise ValueError(f"{quoted(text)} is out of bounds: integers go to {LARGEST}")
        return number
    if _FLOAT.fullmatch(text):
        value = float(text) if text[-1] in "0123456789." and len(text) <= _LONGEST_NUMBER else math.inf
        if not math.isfinite(value):
            raise ValueError(f"{quoted(text)} is not a finite number")
        return value
    return text
