"""`nft` and `ip` in a host's network namespace: no shell, each ruleset one transaction."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

from slipway.drivers.wiring.linuxbridge.ruleset import Tracking
from slipway.errors import WiringError

_PATIENCE = 30.0
"""Seconds, for a kernel that is busy."""

_BRIDGE_TRIAL = "table bridge slipway-trial {\nchain a {\nct state established meta ibrname x accept\n}\n}\n"
_IP_TRIAL = "table inet slipway-trial {\nchain a {\nct zone set 1\nct state established accept\n}\n}\n"


def exists(netns: str | None) -> bool:
    """Whether there is such a namespace. One that is gone took its links and its rulesets along."""
    return netns is None or (Path("/run/netns") / netns).exists()


def load(netns: str | None, ruleset: str) -> None:
    """Do all that the ruleset says, or nothing. Raises `WiringError`."""
    _done(netns, ("nft", "-f", "-"), ruleset)


def chains(netns: str | None, table: str) -> set[str]:
    """The names of all chains of the bridge family's table; empty when it is absent. Raises `WiringError`."""
    listed = json.loads(_done(netns, ("nft", "-j", "list", "chains", "bridge")))["nftables"]
    found = (entry["chain"] for entry in listed if "chain" in entry)
    return {chain["name"] for chain in found if chain["table"] == table}


@cache
def tracking(netns: str | None) -> Tracking:
    """Where the kernel tracks the connections of bridged packets: tried once. Raises `WiringError` if nowhere."""
    if _tried(netns, _BRIDGE_TRIAL):
        return Tracking.BRIDGE
    shown = _run(netns, ("test", "-e", "/proc/sys/net/bridge/bridge-nf-call-iptables")).returncode == 0
    if shown and _tried(netns, _IP_TRIAL):
        return Tracking.IP
    raise WiringError(
        f"{_where(netns)}: the kernel tracks no connections of bridged packets, which security groups need: it has "
        f"neither nf_conntrack_bridge nor br_netfilter; try `modprobe nf_conntrack_bridge`, or `modprobe br_netfilter`"
    )


def show_to_ip(netns: str | None, bridge: str) -> None:
    """Have the IP layer see this bridge's packets, whatever the namespace's default is. Raises `WiringError`."""
    on = ("nf_call_iptables", "1", "nf_call_ip6tables", "1")
    _done(netns, ("ip", "link", "set", "dev", bridge, "type", "bridge", *on))


def _tried(netns: str | None, ruleset: str) -> bool:
    return _run(netns, ("nft", "--check", "-f", "-"), ruleset).returncode == 0


def _done(netns: str | None, command: tuple[str, ...], given: str = "") -> str:
    done = _run(netns, command, given)
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[:500] or f"it ended with {done.returncode}"
        raise WiringError(f"{_where(netns)}: {' '.join(command[:3])} failed: {said}")
    return done.stdout


def _run(netns: str | None, command: tuple[str, ...], given: str = "") -> subprocess.CompletedProcess[str]:
    if netns is not None:
        command = ("ip", "netns", "exec", netns, *command)
    try:
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except OSError as error:
        raise WiringError(f"{command[0]} cannot be run: {error.strerror}; install nftables and iproute2") from error
    except subprocess.TimeoutExpired as error:
        raise WiringError(f"{_where(netns)}: {command[0]} did not end within {_PATIENCE:g} s") from error


def _where(netns: str | None) -> str:
    return "the host's network" if netns is None else f"network namespace {netns}"
