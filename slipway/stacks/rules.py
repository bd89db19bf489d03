"""What becomes of each attribute that a file says otherwise than it is: one row an attribute. `docs/plan.md` has them.

A row says what happens, and under `unless` when it is otherwise. What a later Slipway can do to a guest that runs
changes its row, and no other place decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from slipway.stacks.plan import How


class Rule(Struct, frozen=True):
    """One row: what becomes of the attribute, and `why` so. `unless` this holds: then `otherwise`."""

    how: How
    why: str = ""
    unless: str = ""
    otherwise: How | None = None

    def applied(self, *, met: bool) -> How:
        """What becomes of it; `met`: what the row says under `unless` is so."""
        return self.otherwise if met and self.otherwise is not None else self.how


_IN_PLACE = Rule(How.CHANGE)
_DRIVER = Rule(
    How.CHANGE, "its instances could not be found any more", unless="instances are on it", otherwise=How.KEEP
)
_ROOM = Rule(How.CHANGE, "what was claimed stays claimed", unless="more than that is given out", otherwise=How.KEEP)
_SEGMENT = Rule(How.KEEP, "a network cannot go to another segment; give the one of the file another name")
_SUBNET = Rule(How.KEEP, "not possible without a new subnet; give the one of the file another name")
_ROOT = "its root disk is made anew by a rebuild"
_FLOATING = Rule(How.KEEP, "it would be another one; give the one of the file another name")
_SIZE = Rule(How.STOP, "its guest is stopped, and started with it", "it is stopped", How.CHANGE)
_ORDER = "they stay in the order in which the guest has got them"
_DEVICE = Rule(How.KEEP, "a guest has it from its build on")
_RECORD = Rule(How.CHANGE, "on record only: it counts when something is built")


def _place(unless: str) -> Rule:
    """What says where an instance may be: on record where that is so already."""
    return Rule(How.CHANGE, "it is moved where it may not stay", unless=unless, otherwise=How.STOP)


RULES: Mapping[str, Mapping[str, Rule]] = {
    "settings": {"*": Rule(How.CHANGE, "it holds for what is done from then on")},
    "host": {
        "vcpus": _ROOM,
        "memory": _ROOM,
        "disk": _ROOM,
        "cpu_ratio": _ROOM,
        "memory_ratio": _ROOM,
        "disk_ratio": _ROOM,
        "zone": Rule(How.CHANGE, "what is on it stays on it"),
        "labels": Rule(How.CHANGE, "what is on it stays on it"),
        "numa": Rule(How.CHANGE, "what is on it stays on it"),
        "enabled": Rule(How.CHANGE, "what is on it stays on it"),
        "accel": Rule(How.CHANGE, "it counts when something is built"),
        "simulate": _IN_PLACE,
        "compute": _DRIVER,
        "wiring": _DRIVER,
        "disks": _DRIVER,
        "uri": _DRIVER,
        "netns": _DRIVER,
        "physical_nic": _DRIVER,
    },
    "network": {
        "mtu": Rule(How.CHANGE, "hosts follow at once, guests when they next ask DHCP or start"),
        "shared": _IN_PLACE,
        "router_external": _IN_PLACE,
        "port_security_enabled": Rule(How.CHANGE, "it counts for ports that are made from then on"),
        "host_address": Rule(How.CHANGE, "hosts follow at once"),
        "dns_domain": Rule(How.CHANGE, "hosts follow at once; guests hear of it when they next ask DHCP"),
        "provider_network_type": _SEGMENT,
        "provider_physical_network": _SEGMENT,
        "provider_segmentation_id": _SEGMENT,
    },
    "subnet": {
        "gateway_ip": Rule(How.CHANGE, "guests hear of it when they next ask DHCP"),
        "allocation_pools": Rule(How.CHANGE, "addresses that were given out stay"),
        "dns_nameservers": Rule(How.CHANGE, "guests hear of it when they next ask DHCP"),
        "host_routes": Rule(How.CHANGE, "guests hear of it when they next ask DHCP"),
        "enable_dhcp": _IN_PLACE,
        "cidr": _SUBNET,
        "ipv6_ra_mode": _SUBNET,
        "ipv6_address_mode": _SUBNET,
    },
    "port": {
        "fixed_ips": Rule(How.CHANGE, "a guest that has it hears of it when it next asks DHCP"),
        "mac_address": Rule(
            How.CHANGE, "a guest's NIC keeps its MAC", unless="an instance has the port", otherwise=How.KEEP
        ),
        "dns_name": Rule(How.CHANGE, "hosts follow at once"),
        "security_groups": Rule(How.CHANGE, "hosts follow at once"),
    },
    "router": {
        "external_network": _IN_PLACE,
        "snat": _IN_PLACE,
        "external_ips": _IN_PLACE,
        "subnets": _IN_PLACE,
        "routes": _IN_PLACE,
    },
    "floating IP": {
        "port": _IN_PLACE,
        "fixed_ip": _IN_PLACE,
        "forward": _IN_PLACE,
        "network": _FLOATING,
        "address": _FLOATING,
    },
    "security group": {"rules": Rule(How.CHANGE, "hosts follow at once")},
    "instance": {
        "flavor": Rule(How.REPLACE, "a guest has it from its build on; one with pinned CPUs is not resized either"),
        "flavor.vcpus": _SIZE,
        "flavor.memory": _SIZE,
        "flavor.disk": Rule(
            How.CHANGE, "a disk grows while its guest runs, and never shrinks", "it is smaller", How.KEEP
        ),
        "flavor.name": _RECORD,
        "image": Rule(How.STOP, _ROOT, "it is stopped", How.CHANGE),
        "image.name": _RECORD,
        "image.min_disk": _RECORD,
        "image.min_memory": _RECORD,
        "image.size": _RECORD,
        "image.status": _RECORD,
        "networks": Rule(How.CHANGE, _ORDER, "only their order is another", How.KEEP),
        "disks": Rule(How.CHANGE, _ORDER, "only their order is another, or one is smaller", How.KEEP),
        "security_groups": Rule(How.CHANGE, "on the ports that were made for it; hosts follow at once"),
        "metadata": Rule(How.CHANGE, "on record; what the guest was told at its build stays"),
        "wait_for": _RECORD,
        "autostart": Rule(How.CHANGE, "on record: it counts when its domain ends"),
        "group": _place("the group's policy forbids its host"),
        "zone": _place("its host is in another zone"),
        "requires": _place("its host lacks a label of them"),
        "host": _place("it is on another host"),
        "user_data": Rule(How.STOP, f"a guest reads it at its first boot: {_ROOT}", "the file has none", How.REPLACE),
        "ssh_keys": Rule(How.REPLACE, "a guest reads them at its first boot, and a rebuild gives it the same"),
        **dict.fromkeys(
            ("timezone", "locale", "network_config", "config_drive"),
            Rule(How.REPLACE, "a guest is told at its first boot, and a rebuild tells it the same"),
        ),
        "cdrom": _DEVICE,
        "shares": _DEVICE,
        "files": Rule(How.STOP, f"a guest reads them at its first boot: {_ROOT}"),
    },
}
"""By kind and attribute, as Neutron or a request names it. "*": every attribute."""


def rule(kind: str, attribute: str) -> Rule:
    """The row of an attribute; of a part of one ("flavor.memory") that of the whole where it has none of its own."""
    rows = RULES[kind]
    return rows.get(attribute) or rows.get(attribute.partition(".")[0]) or rows["*"]
