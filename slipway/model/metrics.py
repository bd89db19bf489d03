"""What monitoring asks for: numbers with names and labels."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Sample(Struct, frozen=True):
    """One number; `suffix` is what a histogram's parts add to its name."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


class Metric(Struct, frozen=True):
    """All samples of one name; `type` is "gauge", "counter" or "histogram"."""

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...]
