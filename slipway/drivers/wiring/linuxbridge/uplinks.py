"""What leads from a bridge out of its host: the physical NIC as it is, a VLAN of it, or a VXLAN over it."""

from __future__ import annotations

from slipway.drivers.wiring.linuxbridge.kernel import Kernel, Link, keep_host_away
from slipway.errors import WiringError
from slipway.model.machine import Vif
from slipway.model.request import Host

_VXLAN_GROUP, _VXLAN_PORT = "224.0.0.1", 8472
"""Those of Neutron's bridge agent."""
_VXLAN_HEADERS = 50
_NAME_MAX = 15


def uplink_name(host: Host, vif: Vif) -> str | None:
    """The name of the link that the VIF's network needs on the host; None: the network ends at its bridge.

    Raises `WiringError` for what the host's entry does not have, or a type of network that no bridge can carry.
    """
    if vif.ends_at_host:
        return None
    kind, number = vif.network_type, vif.segmentation_id
    network = f"network {vif.network_name}"
    if kind not in ("flat", "vlan", "vxlan"):
        raise WiringError(f"{network}: there are no bridges for networks of type {kind}")
    if host.physical_nic is None:
        raise WiringError(f"{network} is {kind}: the host's entry must name its physical_nic")
    if kind == "flat":
        return host.physical_nic
    if number is None:
        raise WiringError(f"{network} is {kind} and has no segmentation_id")
    name = f"{host.physical_nic}.{number}" if kind == "vlan" else f"vxlan-{number}"
    if len(name) > _NAME_MAX:
        raise WiringError(f"{network}: {name} is too long a name for a VLAN's link (at most {_NAME_MAX} characters)")
    return name


def check_uplink(kernel: Kernel, host: Host, vif: Vif) -> None:
    """Raise `WiringError` where `add_uplink` would."""
    if uplink_name(host, vif) is None:
        return
    nic = _nic(kernel, host, vif)
    check_mtu(kernel, host, vif)
    if vif.network_type == "flat":
        _check_free(kernel, nic, kernel.find(vif.bridge))


def _nic(kernel: Kernel, host: Host, vif: Vif) -> Link:
    nic = kernel.find(host.physical_nic or "")
    if nic is None:
        raise WiringError(f"network {vif.network_name}: there is no physical_nic {host.physical_nic}")
    if not nic.up:
        raise WiringError(f"physical_nic {nic.name} is down; set it up: ip link set {nic.name} up")
    return nic


def add_uplink(kernel: Kernel, host: Host, vif: Vif, name: str, bridge: Link) -> None:
    """Have the uplink of that name in the bridge, and up."""
    nic = _nic(kernel, host, vif)
    link = nic if vif.network_type == "flat" else kernel.find(name)
    if link is None or link.master != bridge.index:
        check_mtu(kernel, host, vif)
    if vif.network_type == "flat":
        _take(kernel, nic, bridge)
        return
    if link is None:
        link = _make_vlan(kernel, nic, vif, name) if vif.network_type == "vlan" else _make_vxlan(kernel, nic, vif, name)
    if link.owner is None:
        raise WiringError(f"{name} exists already and is not ours")
    if link.master not in (None, bridge.index):
        raise WiringError(f"{name} is in another network's bridge already")
    if link.owner == ():
        kernel.tag(link, bridge.name)
    if link.master != bridge.index or not link.up:
        keep_host_away(name)
        kernel.set(link, master=bridge.index, state="up")


def remove_uplink(kernel: Kernel, name: str, bridge: Link) -> None:
    """Delete the uplink that we made; take any other, a physical NIC, out of the bridge. Absent: nothing happens."""
    link = kernel.find(name)
    if link is None or link.master not in (None, bridge.index):
        return
    if link.owner is not None:
        kernel.delete(link)
    elif link.master is not None:
        kernel.set(link, master=0)


def _take(kernel: Kernel, nic: Link, bridge: Link) -> None:
    if nic.master != bridge.index:
        _check_free(kernel, nic, bridge)
        kernel.set(nic, master=bridge.index)


def _check_free(kernel: Kernel, nic: Link, bridge: Link | None) -> None:
    """Raise `WiringError` for a NIC that is not the bridge's and cannot become its own."""
    if bridge is not None and nic.master == bridge.index:
        return
    if nic.master is not None:
        raise WiringError(f"physical_nic {nic.name} is in another bridge already")
    if kernel.has_address(nic):
        raise WiringError(f"physical_nic {nic.name} has addresses, at which the host would no longer be reached")


def check_mtu(kernel: Kernel, host: Host, vif: Vif) -> None:
    """Raises `WiringError` where packets of the network would be too long for the NIC, and lost without a word."""
    nic = kernel.find(host.physical_nic or "")
    over = _VXLAN_HEADERS if vif.network_type == "vxlan" else 0
    if nic is not None and vif.mtu + over > nic.mtu:
        longer = f"its packets, {over} bytes longer in a VXLAN, are too long for" if over else "that is too much for"
        raise WiringError(
            f"network {vif.network_name} has MTU {vif.mtu}: {longer} physical_nic {nic.name} with {nic.mtu}"
        )


def _make_vlan(kernel: Kernel, nic: Link, vif: Vif, name: str) -> Link:
    return kernel.make(name, "vlan", link=nic.index, vlan_id=vif.segmentation_id)


def _make_vxlan(kernel: Kernel, nic: Link, vif: Vif, name: str) -> Link:
    return kernel.make(
        name,
        "vxlan",
        mtu=vif.mtu,
        vxlan_id=vif.segmentation_id,
        vxlan_link=nic.index,
        vxlan_group=_VXLAN_GROUP,
        vxlan_port=_VXLAN_PORT,
        vxlan_learning=1,
    )
