"""The formats that the schema of run files names, for texts; the builder parses again what passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.model.formats import (
    parse_address,
    parse_cidr,
    parse_mac,
    parse_ports,
    parse_protocol,
    parse_range,
    suggest_cidr,
)
from slipway.yamlfile.units import parse_duration, parse_size, suggest_size


def _above_zero(number: float) -> None:
    if number <= 0:
        raise ValueError("not above zero")


FORMATS: Mapping[str, Callable[[str], Any]] = {
    "slipway-address": parse_address,
    "slipway-cidr": parse_cidr,
    "slipway-duration": parse_duration,
    "slipway-duration-above-zero": lambda text: _above_zero(parse_duration(text)),
    "slipway-mac": parse_mac,
    "slipway-ports": parse_ports,
    "slipway-protocol": parse_protocol,
    "slipway-range": parse_range,
    "slipway-size": parse_size,
    "slipway-size-above-zero": lambda text: _above_zero(parse_size(text)),
}
"""Each raises `ValueError` for a text that is none."""

SUGGESTIONS: Mapping[str, Callable[[str], str | None]] = {
    "slipway-cidr": suggest_cidr,
    "slipway-size": suggest_size,
    "slipway-size-above-zero": suggest_size,
}
"""What was probably meant by a text that a format refuses."""
