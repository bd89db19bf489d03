"""Taps in bridges. A tap says in its alias whose it is and in which bridge, a bridge what its uplink is.

So whatever point a kill cut off, `plug` finishes, and `unplug` finds all that there is to take away; also where
somebody else deleted the tap, for no bridge of ours stays with nothing but its uplink in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.drivers.files import locked, make_directories
from slipway.drivers.wiring.linuxbridge.kernel import Kernel, Link, keep_host_away, kernel_of
from slipway.drivers.wiring.linuxbridge.namespace import exists
from slipway.drivers.wiring.linuxbridge.uplinks import add_uplink, check_mtu, check_uplink, remove_uplink, uplink_name
from slipway.errors import WiringError
from slipway.model.machine import Vif, Wired
from slipway.model.request import Host

_OURS = re.compile(r"(tap|brq)[0-9A-Za-z-]{1,11}")
"""What a name that we make of an id looks like."""
_LEAVING = (None, "bond", "team", "veth")
"""Kinds of links that lead out of a host; None: the kernel made it for a device."""

_PATIENCE, _PAUSE = 2.0, 0.02


class Links:
    """Bridges, taps and uplinks of one host; may be used by many threads and processes at once."""

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """In `state` is what locks the links of its installation; the kernel changes no two links at once anyway."""
        self._host, self._installation = host, installation
        self._locks = state.absolute() / "links"

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the VIF's tap, its bridge and the bridge's uplink where they are not, each in the other, and up."""
        for name in (vif.devname, vif.bridge):
            if not _OURS.fullmatch(name):
                raise WiringError(f"{self._host.name}: {name!r} is not a name that a tap or bridge of ours can have")
        if ":" in instance_id:
            raise WiringError(f"{self._host.name}: {instance_id!r} is not an instance's id")
        with self._alone(f"{vif.devname} cannot be plugged into {vif.bridge}") as kernel:
            uplink = uplink_name(self._host, vif)
            tap = _tap(kernel, instance_id, vif)
            self._put(kernel, vif, tap, uplink)

    def nics(self) -> Sequence[str]:
        """The names of the links that could be a `physical_nic`, or are it."""
        with kernel_of(self._host.name, self._host.netns, self._installation, "links cannot be looked at") as kernel:
            found = [link for link in kernel.all() if link.up and link.owner is None and link.kind in _LEAVING]
        mine = self._host.physical_nic
        return sorted(one.name for one in found if one.name == mine or (one.master is None and one.name != "lo"))

    def join(self, vif: Vif, netns: str, inner: str, owner: str) -> None:
        """Make the VIF's tap, in its bridge, one end of a cable whose other end is `inner` in the namespace.

        What is there of it stays. `owner`: what its alias says after our tag.
        """
        with self._alone(f"{vif.devname} cannot be plugged into {vif.bridge}") as kernel:
            uplink = uplink_name(self._host, vif)
            tap = cable(kernel, vif, netns, inner, owner)
            self._put(kernel, vif, tap, uplink)

    def cut(self, devname: str, bridge: str) -> None:
        """Delete the cable of ours that ends in the tap, and the bridge where nothing else is in it."""
        if not exists(self._host.netns):
            return
        with self._alone(f"{devname} cannot be unplugged") as kernel:
            tap = kernel.find(devname)
            if tap is not None and tap.kind == "veth" and tap.owner is not None:
                kernel.delete(tap)
            _release(kernel, bridge, None)

    def fault_of(self, vif: Vif) -> str:
        """What keeps packets from passing between the VIF's tap and where its network leads."""
        with kernel_of(self._host.name, self._host.netns, self._installation, "links cannot be looked at") as kernel:
            tap = kernel.find(vif.devname)
            return f"{vif.devname} is gone" if tap is None else "; ".join(_faults_in(kernel, tap, vif.bridge))

    def await_forwarding(self, devnames: Sequence[str]) -> None:
        """Wait until their bridges forward what comes by these taps, which a new cable's do when they hear of its end.

        That is the kernel's work, at most a second; whoever waits in vain is not told so.
        """
        late = time.monotonic() + _PATIENCE
        with kernel_of(self._host.name, self._host.netns, self._installation, "links cannot be looked at") as kernel:
            while not all(map(kernel.is_operational, devnames)) and time.monotonic() < late:
                time.sleep(_PAUSE)

    def check(self, vif: Vif) -> None:
        """Raise `WiringError` where the VIF's bridge could not have the uplink that it needs."""
        what = f"{vif.bridge} cannot be looked at"
        with kernel_of(self._host.name, self._host.netns, self._installation, what) as kernel:
            check_uplink(kernel, self._host, vif)

    def refresh(self, vif: Vif) -> None:
        """Give the VIF's tap, where there is one, its bridge and what of its uplink is ours the network's MTU.

        Raises `WiringError` where the physical NIC is too small for that.
        """
        with self._alone(f"{vif.devname} cannot have MTU {vif.mtu}") as kernel:
            tap = kernel.find(vif.devname)
            if tap is None or not _is_tap(tap) or vif.mtu <= 0:
                return
            assert tap.owner
            name = uplink_name(self._host, vif)
            if name is not None:
                check_mtu(kernel, self._host, vif)
            uplink = kernel.find(name) if name is not None and vif.network_type == "vxlan" else None
            for link in (uplink, kernel.find(tap.owner[-1]), tap):
                if link is not None and link.owner is not None and link.mtu != vif.mtu:
                    kernel.set(link, mtu=vif.mtu)

    def is_current(self, vif: Vif) -> bool:
        """Whether the VIF's tap has the network's MTU; also where there is none."""
        if not exists(self._host.netns):
            return True
        what = f"{vif.devname} cannot be looked at"
        with kernel_of(self._host.name, self._host.netns, self._installation, what) as kernel:
            tap = kernel.find(vif.devname)
            return tap is None or not _is_tap(tap) or vif.mtu in (0, tap.mtu)

    def unplug(self, devname: str, instance_id: str | None = None) -> None:
        """Delete the tap, and the bridge with its uplink when nothing else is in it.

        Not ours, or another instance's: nothing happens. Absent: whichever bridge it was in, one in which nothing is
        left goes.
        """
        # With a namespace all links went that were in it.
        if not _OURS.fullmatch(devname) or not exists(self._host.netns):
            return
        with self._alone(f"{devname} cannot be unplugged") as kernel:
            tap = kernel.find(devname)
            if tap is None:
                for bridge in kernel.of_kind("bridge"):
                    _release(kernel, bridge.name, None)
                return
            if not _is_tap(tap):
                return
            assert tap.owner
            if instance_id not in (None, tap.owner[0]):
                return
            # The tap goes last: it says which bridge there may still be.
            _release(kernel, tap.owner[-1], tap.index)
            kernel.delete(tap)

    def list_taps(self) -> Sequence[Wired]:
        """All taps of this installation, each with what is wrong between it and where its network leads."""
        what = "the taps cannot be listed"
        with kernel_of(self._host.name, self._host.netns, self._installation, what) as kernel:
            taps = sorted((link for link in kernel.of_kind("tun") if _is_tap(link)), key=lambda tap: tap.name)
            return [
                Wired(tap.name, "; ".join(_faults(kernel, tap)), (tap.owner or ("",))[0], tap.joined) for tap in taps
            ]

    def release_bridge(self, bridge: str) -> None:
        """Delete the bridge when it is ours and nothing but its uplink is in it: the last NIC in it was no tap."""
        if not exists(self._host.netns):
            return
        with self._alone(f"{bridge} cannot be deleted") as kernel:
            _release(kernel, bridge, None)

    def _put(self, kernel: Kernel, vif: Vif, tap: Link, uplink: str | None) -> None:
        """Have the tap in its bridge, which is made with its uplink where it is not there."""
        bridge = _bridge(kernel, vif, uplink)
        if uplink is not None:
            add_uplink(kernel, self._host, vif, uplink, bridge)
        if not bridge.up:
            kernel.set(bridge, state="up")
        if tap.master != bridge.index or not tap.up or vif.mtu not in (0, tap.mtu):
            kernel.set(tap, master=bridge.index, state="up", **_mtu(vif))

    @contextmanager
    def _alone(self, what: str) -> Iterator[Kernel]:
        make_directories(self._locks)
        with locked(self._locks), kernel_of(self._host.name, self._host.netns, self._installation, what) as kernel:
            yield kernel


def _is_tap(link: Link) -> bool:
    return link.kind == "tun" and link.owner is not None and len(link.owner) > 1


def _faults(kernel: Kernel, tap: Link) -> Iterator[str]:
    assert tap.owner
    return _faults_in(kernel, tap, tap.owner[-1])


def _faults_in(kernel: Kernel, tap: Link, name: str) -> Iterator[str]:
    bridge = kernel.find(name)
    if not tap.up:
        yield "it is down"
    if bridge is None or bridge.owner is None:
        yield f"its bridge {name} is {'gone' if bridge is None else 'not ours'}"
        return
    if tap.master != bridge.index:
        yield f"it is not in its bridge {bridge.name}"
    if not bridge.up:
        yield f"its bridge {bridge.name} is down"
    if (uplink := _uplink_of(bridge)) is not None and (fault := _fault_of_uplink(kernel, uplink, bridge)):
        yield f"{bridge.name}'s uplink {uplink} {fault}"


def _fault_of_uplink(kernel: Kernel, name: str, bridge: Link) -> str:
    uplink = kernel.find(name)
    if uplink is None:
        return "is gone"
    if uplink.master != bridge.index:
        return "is not in it"
    return "" if uplink.up else "is down"


def _tap(kernel: Kernel, instance_id: str, vif: Vif) -> Link:
    found = kernel.find(vif.devname)
    if found is None:
        return kernel.make_tap(vif.devname, f"{instance_id}:{vif.bridge}")
    if not _is_tap(found):
        raise WiringError(f"{vif.devname} exists already and is not ours")
    if found.owner != (instance_id, vif.bridge):
        raise WiringError(f"{vif.devname} exists already and is of instance {found.owner and found.owner[0]}")
    return found


def cable(kernel: Kernel, vif: Vif, netns: str, inner: str, owner: str) -> Link:
    """The VIF's tap with the other end of its cable in the namespace. Raises `WiringError` for one that is not ours."""
    found = kernel.find(vif.devname)
    if found is None:
        peer = {"ifname": inner, "net_ns_fd": netns, "address": vif.mac_address}
        found = kernel.make(vif.devname, "veth", peer=peer, **_mtu(vif))
    if found.owner is None or found.kind != "veth":
        raise WiringError(f"{vif.devname} exists already and is not ours")
    if not found.owner:
        keep_host_away(vif.devname)
        kernel.tag(found, owner)
    return found


def _bridge(kernel: Kernel, vif: Vif, uplink: str | None) -> Link:
    """The bridge, with its uplink on record before it is made. As Neutron's bridge agent: no STP, no delay."""
    bridge = kernel.find(vif.bridge)
    if bridge is None:
        # With another MTU at first: the kernel keeps only one that is set later, and is not what it was.
        other = {"mtu": vif.mtu + 1} if vif.mtu > 0 else {}
        bridge = kernel.make(vif.bridge, "bridge", br_stp_state=0, br_forward_delay=0, **other)
    if bridge.owner is None or bridge.kind != "bridge":
        raise WiringError(f"{vif.bridge} exists already and is not ours")
    before = _uplink_of(bridge)
    if before is not None and before != uplink:
        remove_uplink(kernel, before, bridge)
    keep_host_away(vif.bridge)
    if not bridge.owner or before != uplink:
        kernel.tag(bridge, f"bridge:{uplink or ''}")
    if vif.mtu > 0 and bridge.mtu != vif.mtu:
        kernel.set(bridge, mtu=vif.mtu)
    return bridge


def _uplink_of(bridge: Link) -> str | None:
    return (bridge.owner and bridge.owner[-1]) or None


def _release(kernel: Kernel, name: str, tap: int | None) -> None:
    bridge = kernel.find(name)
    if bridge is None or bridge.owner is None or bridge.kind != "bridge":
        return
    uplink = _uplink_of(bridge)
    if any(link.index != tap and link.name != uplink for link in kernel.in_bridge(bridge)):
        return
    if uplink is not None:
        remove_uplink(kernel, uplink, bridge)
    kernel.delete(bridge)


def _mtu(vif: Vif) -> dict[str, int]:
    return {"mtu": vif.mtu} if vif.mtu > 0 else {}
