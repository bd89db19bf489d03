"""`nft` and `ip` in a host's network namespace: no shell, each ruleset one transaction."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from slipway.drivers.wiring.linuxbridge.namespace import apart, inside, run
from slipway.drivers.wiring.linuxbridge.ruleset import Tracking
from slipway.errors import WiringError

_PATIENCE = 30.0
"""Seconds, for a kernel that is busy."""

_BRIDGE_TRIAL = "table bridge slipway-trial {\nchain a {\nct state established meta ibrname x accept\n}\n}\n"
_IP_TRIAL = "table inet slipway-trial {\nchain a {\nct zone set 1\nct state established accept\n}\n}\n"


def load(netns: str | None, ruleset: str) -> None:
    """Do all that the ruleset says, or nothing. Raises `WiringError`."""
    run(netns, ("nft", "-f", "-"), input=ruleset, timeout=_PATIENCE)


def statements(netns: str | None, table: str) -> set[str]:
    """All that the kernel has in our tables, a line for each chain, rule, map, set and element of one.

    A line begins with what it is of, such as `bridge chain NAME: `. Raises `WiringError`.
    """
    listed = run(netns, ("nft", "-j", "-s", "list", "ruleset"), timeout=_PATIENCE).stdout
    return set(_statements(json.loads(listed)["nftables"], table))


def meaning(ruleset: str, table: str) -> set[str]:
    """What `statements` gives after the ruleset was loaded, found out in a namespace apart. Raises `WiringError`."""
    with apart():
        load(None, ruleset)
        return statements(None, table)


def _statements(entries: Iterable[Mapping[str, Any]], table: str) -> Iterator[str]:
    count: Counter[str] = Counter()
    for entry in entries:
        ((kind, found),) = entry.items()
        if found.get("table") != table:
            continue
        name = found["chain"] if kind == "rule" else found["name"]
        what = f"{found['family']} {'chain' if kind == 'rule' else kind} {name}: "
        said = {key: value for key, value in found.items() if key not in ("handle", "elem")}
        for part in (said, *found.get("elem", ())):
            # The place of a rule counts, that of an element does not.
            place = count[what] if kind == "rule" else ""
            count[what] += 1
            yield f"{what}{place} {json.dumps(_sorted(part), sort_keys=True)}"


def _sorted(said: Any, key: str = "") -> Any:
    """The same with the elements of sets in one order: the kernel has none."""
    if isinstance(said, dict):
        return {name: _sorted(value, name) for name, value in said.items()}
    if isinstance(said, list):
        parts = [_sorted(value) for value in said]
        return sorted(parts, key=partial(json.dumps, sort_keys=True)) if key == "set" else parts
    return said


@cache
def tracking(netns: str | None) -> Tracking:
    """Where the kernel tracks the connections of bridged packets: tried once. Raises `WiringError` if nowhere."""
    if _tried(netns, _BRIDGE_TRIAL):
        return Tracking.BRIDGE
    with inside(netns):
        shown = os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if shown and _tried(netns, _IP_TRIAL):
        return Tracking.IP
    raise WiringError(
        f"{_where(netns)}: the kernel tracks no connections of bridged packets, which security groups need: it has "
        f"neither nf_conntrack_bridge nor br_netfilter; try `modprobe nf_conntrack_bridge`, or `modprobe br_netfilter`"
    )


def show_to_ip(netns: str | None, bridge: str) -> None:
    """Have the IP layer see this bridge's packets, whatever the namespace's default is. Raises `WiringError`."""
    on = ("nf_call_iptables", "1", "nf_call_ip6tables", "1")
    run(netns, ("ip", "link", "set", "dev", bridge, "type", "bridge", *on), timeout=_PATIENCE)


def _tried(netns: str | None, ruleset: str) -> bool:
    return run(netns, ("nft", "--check", "-f", "-"), input=ruleset, timeout=_PATIENCE, check=False).returncode == 0


def _where(netns: str | None) -> str:
    return "the host's network" if netns is None else f"network namespace {netns}"
