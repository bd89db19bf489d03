"""Where the boxes of a picture stand: in layers, so that arrows lead down, and cross each other seldom.

After Sugiyama, Tagawa and Toda (1981): turn round what closes a circle, give each box its layer, have a stand-in in
each layer that an arrow passes, sort the layers by where neighbours stand, and push apart what overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

Point: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[float, float]

GAP = 24.0
"""Between two boxes of a layer, in pixels as all here."""
LAYER_GAP = 40.0
_STAND_IN = 12.0
_LONGEST = 40
"""The layers that an arrow may pass with stand-ins; a longer one is drawn straight."""
_SWEEPS = 6


class Layout(Struct, frozen=True):
    """The centre of each box, of each arrow its points from source to target and the middle of its label, and how large
    the whole is."""

    centres: dict[str, Point]
    paths: tuple[tuple[Point, ...], ...]
    labels: tuple[Point, ...]
    size: Size


def lay_out(sizes: Mapping[str, Size], edges: Sequence[tuple[str, str]], labels: Sequence[Size | None]) -> Layout:
    """Place boxes of these sizes, and the arrows' labels, where they have any. An arrow from a box to itself has no
    points."""
    names = {name: number for number, name in enumerate(sizes)}
    boxes = list(sizes.values())
    arrows = [(names[source], names[target]) for source, target in edges]
    turned = _closing(len(boxes), arrows)
    down = [(t, s) if number in turned else (s, t) for number, (s, t) in enumerate(arrows)]
    far = [1 if label is None else 2 for label in labels]
    layer = _layers(len(boxes), [(*one, least) for one, least in zip(down, far, strict=True) if one[0] != one[1]])
    chains: list[list[int]] = []
    for (upper, lower), label in zip(down, labels, strict=True):
        between = range(layer[upper] + 1, layer[lower])
        stand_ins = range(len(boxes), len(boxes) + len(between)) if len(between) <= _LONGEST else ()
        layer += [at for at, _ in zip(between, stand_ins, strict=False)]
        boxes += [(_STAND_IN, 0.0)] * len(stand_ins)
        if stand_ins and label is not None:
            boxes[stand_ins[len(stand_ins) // 2]] = label
        chains.append([upper, *stand_ins, lower])
    links = [link for chain in chains for link in pairwise(chain) if link[0] != link[1]]
    rows = _ordered(layer, links)
    across = _across(rows, boxes, links)
    heights = [max(boxes[one][1] for one in row) for row in rows]
    gap = LAYER_GAP / max(far, default=1)
    tops = [sum(heights[:number]) + number * gap for number in range(len(rows))]
    centres = [(across[n], tops[layer[n]] + heights[layer[n]] / 2) for n in range(len(boxes))]
    paths: list[tuple[Point, ...]] = []
    middles: list[Point] = []
    for number, chain in enumerate(chains):
        if chain[0] == chain[-1]:
            paths.append(())
            middles.append(centres[chain[0]])
            continue
        points = [centres[n] for n in chain]
        points[0] = (points[0][0], points[0][1] + boxes[chain[0]][1] / 2)
        points[-1] = (points[-1][0], points[-1][1] - boxes[chain[-1]][1] / 2)
        paths.append(tuple(reversed(points) if number in turned else points))
        middles.append(points[len(points) // 2] if len(points) > 2 else _between(*points))
    width = max((across[n] + boxes[n][0] / 2 for n in range(len(boxes))), default=0.0)
    height = tops[-1] + heights[-1] if rows else 0.0
    return Layout(
        {name: centres[number] for name, number in names.items()}, tuple(paths), tuple(middles), (width, height)
    )


def _closing(count: int, arrows: Sequence[tuple[int, int]]) -> set[int]:
    """The arrows that lead back to where a walk along arrows came from: turned round, there is no circle left."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for number, (source, _) in enumerate(arrows):
        leaving[source].append(number)
    open_, seen, closing = set[int](), set[int](), set[int]()
    for start in range(count):
        if start in seen:
            continue
        stack = [(start, iter(leaving[start]))]
        seen.add(start)
        open_.add(start)
        while stack:
            at, rest = stack[-1]
            for number in rest:
                target = arrows[number][1]
                if target in open_ and target != at:
                    closing.add(number)
                elif target not in seen:
                    seen.add(target)
                    open_.add(target)
                    stack.append((target, iter(leaving[target])))
                    break
            else:
                open_.discard(at)
                stack.pop()
    return closing


def _layers(count: int, down: Sequence[tuple[int, int, int]]) -> list[int]:
    """The layer of each box: below all from which an arrow leads to it, by at least as many layers as that says."""
    below: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    awaited = [0] * count
    for upper, lower, least in down:
        below[upper].append((lower, least))
        awaited[lower] += 1
    layer = [0] * count
    ready = [one for one in range(count) if not awaited[one]]
    for one in ready:
        for lower, least in below[one]:
            layer[lower] = max(layer[lower], layer[one] + least)
            awaited[lower] -= 1
            if not awaited[lower]:
                ready.append(lower)
    return layer


def _ordered(layer: Sequence[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes of each layer from left to right, each near the middle of those that it is linked to."""
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for one, at in enumerate(layer):
        rows[at].append(one)
    above, below = _neighbours(len(layer), links)
    place = {one: float(number) for row in rows for number, one in enumerate(row)}
    for sweep in range(_SWEEPS):
        near = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            wanted = {one: _mean([place[n] for n in near[one]], place[one]) for one in row}
            row.sort(key=lambda one: wanted[one])
            place |= {one: float(number) for number, one in enumerate(row)}
    return rows


def _across(rows: Sequence[list[int]], boxes: Sequence[Size], links: Sequence[tuple[int, int]]) -> list[float]:
    """How far right the middle of each box is: near its neighbours, as far as the others of its row let it."""
    above, below = _neighbours(len(boxes), links)
    across = [0.0] * len(boxes)
    for row in rows:
        _spread(row, [0.0] * len(row), boxes, across)
    for sweep in range(_SWEEPS):
        near = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            _spread(row, [_mean([across[n] for n in near[one]], across[one]) for one in row], boxes, across)
    left = min((across[n] - boxes[n][0] / 2 for n in range(len(boxes))), default=0.0)
    return [one - left for one in across]


def _spread(row: Sequence[int], wanted: Sequence[float], boxes: Sequence[Size], across: list[float]) -> None:
    """Put each where it is wanted, and those that would overlap side by side around the mean of where they are."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (boxes[left][0] + boxes[right][0]) / 2 + GAP)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    for one, start, offset in zip(row, starts, offsets, strict=True):
        across[one] = start + offset


def _neighbours(count: int, links: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _between(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
