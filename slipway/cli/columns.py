"""Which columns of a table give way where it is wider than the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

GAP = 2
"""Blanks between two columns."""

_FIRST = (
    *("DEVICE", "DESCRIPTION", "PORT", "GUEST SAYS", "LEASE", "ID"),
    *("SHARED", "PROJECT", "INTERFACE", "NETWORK", "MAC"),
)
"""The columns that give way first, the first of all in front. Others follow from right to left."""

_LAST = ("NAME", "ADDRESS", "ADDRESSES")
"""Those that give way after all others."""

_WHOLE = ("MAC",)
"""Those of which a part says nothing: they are left out rather than cut."""

_LEAST = 8
"""Letters that are left of a column that is cut, with the sign that it was."""
_FOLDED = 16
"""The least width of a column whose texts go on in the next line."""


def fitted(widths: Mapping[str, int], room: int, *, folded: Collection[str]) -> tuple[dict[str, int], Sequence[str]]:
    """How wide each column is to be that is cut, and which ones are left out, by the widths of all texts.

    First columns are cut in their order, then left out, and only then those that are worth most are cut.
    """
    least = {name: min(width, _FOLDED) if name in folded else width for name, width in widths.items()}
    cut: dict[str, int] = {}
    left_out: list[str] = []
    order = _order(list(widths))
    worth_most = [name for name in order if name in _LAST] or order[-1:]

    def excess() -> int:
        return sum(least.values()) + GAP * (len(least) - 1) - room

    def give_way(name: str) -> None:
        floor = max(_LEAST, len(name))
        if name not in (*folded, *_WHOLE) and least[name] > floor and excess() > 0:
            least[name] = cut[name] = max(floor, least[name] - excess())

    others = [name for name in order if name not in worth_most]
    for name in others:
        give_way(name)
    for name in others:
        if excess() > 0:
            del least[name]
            cut.pop(name, None)
            left_out.append(name)
    for name in worth_most:
        give_way(name)
    # What became free by leaving out is given back to what was cut, the most worth first.
    for name in reversed(order):
        if name in cut:
            cut[name] = least[name] = min(widths[name], least[name] + max(0, -excess()))
    return cut, left_out


def _order(names: Sequence[str]) -> list[str]:
    """From what gives way first to what gives way last."""
    others = [name for name in reversed(names) if name not in (*_FIRST, *_LAST)]
    return [*(n for n in _FIRST if n in names), *others, *(n for n in _LAST if n in names)]
