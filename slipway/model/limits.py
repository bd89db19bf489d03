"""What a value may be beyond its type, said where the attribute is: `vcpus: Annotated[int, Between(1, 65536)]`.

They only say it. `slipway.checks` judges by them what comes in; what is on record is read without them.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from msgspec import Struct

from slipway.model.formats import parse_address, parse_cidr, parse_mac

KiB, MiB, GiB, TiB = (1 << 10 * power for power in range(1, 5))

MOST_BYTES = 1 << 62
"""The largest size (4 EiB): two of them together still are a number that a database can keep."""


class Between(Struct, frozen=True):
    """A number from `low` to `high`, both among them; with `above` it is more than `low`. None: any."""

    low: float | None
    high: float | None = None
    above: bool = False


class Matching(Struct, frozen=True):
    """A text that the pattern matches as a whole; `title` is what it is, in words."""

    pattern: str
    title: str


class Parsed(Struct, frozen=True):
    """A text that `parse` takes, in the spelling that it gives; `title` is what it is, in words."""

    parse: Callable[[str], Any]
    title: str


class OneOf(Struct, frozen=True):
    """One of these texts or numbers."""

    values: tuple[Any, ...]


class NotEmpty(Struct, frozen=True):
    """A text or a tuple with something in it."""


class Distinct(Struct, frozen=True):
    """A tuple in which nothing is twice."""


class AtMost(Struct, frozen=True):
    """A tuple of at most so many items."""

    items: int


class AnyText(Struct, frozen=True):
    """A text that may have control characters in it, and that no message may show."""


Name: TypeAlias = Annotated[
    str,
    Matching(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        "a name (letters, digits, `.`, `_`, `-`; at most 63 characters; the first a letter or digit)",
    ),
]
LabelValue: TypeAlias = Annotated[
    str,
    Matching("[A-Za-z0-9._/-]{1,63}", "a label's value (letters, digits, `.`, `_`, `-`, `/`; at most 63 characters)"),
]
Labels: TypeAlias = tuple[tuple[Name, LabelValue], ...]
Text: TypeAlias = Annotated[str, NotEmpty()]
AbsolutePath: TypeAlias = Annotated[str, Matching(r"/[^\0]*", "an absolute path")]
Address: TypeAlias = Annotated[str, Parsed(parse_address, "an IP address")]
Cidr: TypeAlias = Annotated[str, Parsed(parse_cidr, "a network in CIDR form, such as 192.168.0.0/24")]
_LABEL = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
DnsName: TypeAlias = Annotated[str, Matching(rf"{_LABEL}(\.{_LABEL})*\.?", "a DNS name, such as web-1.example.org")]
Mac: TypeAlias = Annotated[str, Parsed(parse_mac, "a unicast MAC address, such as fa:16:3e:00:00:01")]
Vcpus: TypeAlias = Annotated[int, Between(1, 65536)]
Size: TypeAlias = Annotated[int, Between(1, MOST_BYTES)]
SizeOrZero: TypeAlias = Annotated[int, Between(0, MOST_BYTES)]
Ratio: TypeAlias = Annotated[float, Between(0, 1000, above=True)]
Seconds: TypeAlias = Annotated[float, Between(0, 10**9, above=True)]
SecondsOrZero: TypeAlias = Annotated[float, Between(0, 10**9)]
Retries: TypeAlias = Annotated[int, Between(1, 1000)]
Quota: TypeAlias = Annotated[int, Between(-1, (1 << 63) - 1)]
