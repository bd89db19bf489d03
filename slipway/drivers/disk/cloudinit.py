"""What cloud-init is told by way of the seed, as NoCloud has it; the same for every disk driver.

All of it is JSON where cloud-init reads YAML: that needs no thought about which texts YAML takes for something else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator, Sequence
from email import message_from_string
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from slipway.model.hostname import host_name
from slipway.model.machine import Seed, Vif
from slipway.model.network import Subnet
from slipway.model.neutron import AUTO_ADDRESS_MODES
from slipway.model.record import Instance
from slipway.model.request import InjectedFile

_MERGE = "list(append)+dict(no_replace,recurse_list)+str()"
"""What user data say stays as it is, and our files come after theirs; else one list would replace the other."""

_MIME_WITHIN = 4096
"""cloud-init takes user data for MIME where the header is within so many characters."""


def needs_seed(instance: Instance, vifs: Sequence[Vif]) -> bool:
    """Whether there is something that a guest could not find out by DHCP."""
    request = instance.request
    says = request.user_data is not None or bool(request.ssh_keys or request.files)
    return says or any(not subnet.enable_dhcp for vif in vifs for _, subnet in _addresses(vif))


def make_seed(instance: Instance, vifs: Sequence[Vif]) -> Seed:
    """The three files of the seed for an instance with these NICs."""
    request = instance.request
    meta: dict[str, Any] = {"instance-id": instance.id, "local-hostname": host_name(instance.name)}
    if request.ssh_keys:
        meta["public-keys"] = list(request.ssh_keys)
    return Seed(
        user_data=_user_data(request.user_data, request.files),
        meta_data=json.dumps(meta),
        network_config=json.dumps(_network_config(vifs)),
    )


# --- user data ----------------------------------------------------------------------------------------------------


def _user_data(text: str | None, files: Sequence[InjectedFile]) -> str:
    """The user data as they are; where files are injected as well, both as parts of one MIME message.

    Not as vendor data: of two lists `write_files` cloud-init would take the user's alone.
    """
    if not files:
        return text or ""
    written = [{"path": file.path, "content": file.content, "permissions": file.mode} for file in files]
    config = "#cloud-config\n" + json.dumps({"write_files": written})
    if not text:
        return config
    boundary = hashlib.sha256((text + config).encode()).hexdigest()
    message = MIMEMultipart(boundary=boundary)
    message.attach(_part(text))
    ours = MIMEText(config, "cloud-config", "utf-8")
    ours["Merge-Type"] = _MERGE
    message.attach(ours)
    return message.as_string()


def _part(text: str) -> Message:
    """cloud-init looks at the first line of a plain text for what it is, as it does without MIME."""
    if "mime-version:" in text[:_MIME_WITHIN].lower():
        return message_from_string(text)
    return MIMEText(text, "plain", "utf-8")


# --- network config, version 2 ------------------------------------------------------------------------------------


def _network_config(vifs: Sequence[Vif]) -> dict[str, Any]:
    """A NIC each by its MAC, called eth0, eth1, ... in the order in which they were asked for.

    The default route of each IP version is left to the first NIC that has a gateway: two would be in each other's way.
    """
    ethernets: dict[str, Any] = {}
    routed: set[int] = set()
    for number, vif in enumerate(vifs):
        ethernets[f"eth{number}"] = _ethernet(f"eth{number}", vif, routed)
    return {"version": 2, "ethernets": ethernets}


def _ethernet(name: str, vif: Vif, routed: set[int]) -> dict[str, Any]:
    """`routed`: the IP versions whose default route an earlier NIC has; this one's are added."""
    nic: dict[str, Any] = {"match": {"macaddress": vif.mac_address.lower()}, "set-name": name, "dhcp4": False}
    if vif.mtu > 0:
        nic["mtu"] = vif.mtu
    addresses: list[str] = []
    routes: list[dict[str, str]] = []
    servers: list[str] = []
    for address, subnet in _addresses(vif):
        version = subnet.ip_version
        has_gateway = subnet.gateway_ip is not None and version not in routed
        routed |= {version} if subnet.gateway_ip is not None else set()
        if version == 4 and subnet.enable_dhcp:
            nic["dhcp4"] = True
            continue
        if version == 6 and subnet.ipv6_address_mode == "dhcpv6-stateful":
            nic |= {"dhcp6": True, "accept-ra": True}
            continue
        servers += [server for server in subnet.dns_nameservers if server not in servers]
        if version == 6 and subnet.ipv6_address_mode in AUTO_ADDRESS_MODES:
            nic |= {"dhcp6": nic.get("dhcp6", False), "accept-ra": True}
            continue
        addresses.append(f"{address}/{ipaddress.ip_network(subnet.cidr).prefixlen}")
        routes += [{"to": route.destination, "via": route.nexthop} for route in subnet.host_routes]
        if has_gateway and subnet.gateway_ip is not None:
            if version == 4:
                routes.append({"to": "0.0.0.0/0", "via": subnet.gateway_ip})
            else:
                # Of a route to ::/0 cloud-init 22.4 makes one to ::/64, wherever it does not write for netplan.
                nic["gateway6"] = subnet.gateway_ip
    said = {"addresses": addresses, "routes": routes, "nameservers": {"addresses": servers} if servers else None}
    return nic | {key: value for key, value in said.items() if value}


def _addresses(vif: Vif) -> Iterator[tuple[str, Subnet]]:
    """The VIF's addresses, each with its subnet."""
    subnets = {subnet.id: subnet for subnet in vif.subnets}
    for ip in vif.fixed_ips:
        if ip.subnet_id in subnets:
            yield ip.ip_address, subnets[ip.subnet_id]
