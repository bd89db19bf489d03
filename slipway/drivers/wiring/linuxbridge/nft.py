"""`nft` and `ip` in a host's network namespace: no shell, each ruleset one transaction."""

from __future__ import annotations

import json
import os
from functools import cache

from slipway.drivers.wiring.linuxbridge.namespace import inside, run
from slipway.drivers.wiring.linuxbridge.ruleset import Tracking
from slipway.errors import WiringError

_PATIENCE = 30.0
"""Seconds, for a kernel that is busy."""

_BRIDGE_TRIAL = "table bridge slipway-trial {\nchain a {\nct state established meta ibrname x accept\n}\n}\n"
_IP_TRIAL = "table inet slipway-trial {\nchain a {\nct zone set 1\nct state established accept\n}\n}\n"


def load(netns: str | None, ruleset: str) -> None:
    """Do all that the ruleset says, or nothing. Raises `WiringError`."""
    run(netns, ("nft", "-f", "-"), input=ruleset, timeout=_PATIENCE)


def chains(netns: str | None, table: str) -> set[str]:
    """The names of all chains of the bridge family's table; empty when it is absent. Raises `WiringError`."""
    listed = run(netns, ("nft", "-j", "list", "chains", "bridge"), timeout=_PATIENCE).stdout
    found = (entry["chain"] for entry in json.loads(listed)["nftables"] if "chain" in entry)
    return {chain["name"] for chain in found if chain["table"] == table}


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
