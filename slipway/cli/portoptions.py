"""The attributes of ports as options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from slipway.cli.resources import flag, given, keyed, together

T = TypeVar("T")


class Wanted(NamedTuple):
    """What was said of a port; None and empty mean that nothing was said, or with `no_...` that there is to be none."""

    fixed_ip: list[dict[str, str]]
    no_fixed_ip: bool
    security_group: tuple[str, ...]
    no_security_group: bool
    address_pair: list[dict[str, str]]
    dhcp_option: list[dict[str, Any]]
    dhcp6_option: list[dict[str, Any]]
    no_dhcp_option: tuple[str, ...]
    mac: str | None
    device_id: str | None
    device_owner: str | None
    admin_state_up: bool | None
    port_security_enabled: bool | None
    dns_name: str | None
    host: str | None
    vnic_type: str | None
    profile: dict[str, Any] | None
    description: str | None

    @property
    def fixed_ips(self) -> Sequence[dict[str, str]] | None:
        """The addresses; None: nothing was said."""
        return _all_or_none("fixed-ip", self.fixed_ip, no=self.no_fixed_ip)

    @property
    def security_groups(self) -> Sequence[str] | None:
        """The security groups by name or id; None: nothing was said."""
        return _all_or_none("security-group", self.security_group, no=self.no_security_group)

    def plain(self) -> dict[str, Any]:
        """The attributes in which nothing is named that must be looked up."""
        return given(
            allowed_address_pairs=[_renamed(pair) for pair in self.address_pair] or None,
            extra_dhcp_opts=self._extra_dhcp_opts() or None,
            mac_address=self.mac,
            device_id=self.device_id,
            device_owner=self.device_owner,
            admin_state_up=self.admin_state_up,
            port_security_enabled=self.port_security_enabled,
            dns_name=self.dns_name,
            binding_host_id=self.host,
            binding_vnic_type=self.vnic_type,
            binding_profile=self.profile,
            description=self.description,
        )

    def _extra_dhcp_opts(self) -> list[dict[str, Any]]:
        """Neutron: what is not named stays, and None takes it away."""
        gone = [{"opt_name": name, "opt_value": None} for name in self.no_dhcp_option]
        six = {"ip_version": 6}
        return [*self.dhcp_option, *(option | six for option in self.dhcp6_option), *gone, *(one | six for one in gone)]


def _all_or_none(name: str, named: Sequence[T], *, no: bool) -> Sequence[T] | None:
    if named and no:
        raise click.UsageError(f"--{name} and --no-{name} exclude each other")
    return () if no else named or None


def _renamed(pair: dict[str, str]) -> dict[str, str]:
    return {{"ip": "ip_address", "mac": "mac_address"}[key]: value for key, value in pair.items()}


def _dhcp_options(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[dict[str, Any]]:
    """`NAME=VALUE`; a value may have commas."""
    options = []
    for value in values:
        name, found, text = value.partition("=")
        if not name or not found:
            raise click.BadParameter(f"'{value}' is not of the form NAME=VALUE", ctx, parameter)
        options.append({"opt_name": name, "opt_value": text})
    return options


def _profile(ctx: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    import json

    if value is None:
        return None
    try:
        profile = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"it is no JSON: {error}", ctx, parameter) from error
    if not isinstance(profile, dict):
        raise click.BadParameter("it is no JSON object", ctx, parameter)
    return profile


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--fixed-ip",
        metavar="ip=IP,subnet=SUBNET",
        multiple=True,
        callback=keyed("ip", "subnet"),
        help="An address, or any one of a subnet (name or id), or both; several times for several.",
    ),
    click.option("--no-fixed-ip", is_flag=True, help="No address."),
    click.option("--mac", "--mac-address", "mac", metavar="MAC", help="Its MAC address. [default: a random one]"),
    click.option(
        "--security-group", metavar="GROUP", multiple=True, help="A security group (name or id). [default: default]"
    ),
    click.option("--no-security-group", is_flag=True, help="No security group."),
    flag("port-security-enabled", "Whether what it sends is checked. [default: as its network]"),
    click.option(
        "--address-pair",
        "--allowed-address-pair",
        "address_pair",
        metavar="ip=IP|CIDR,mac=MAC",
        multiple=True,
        callback=keyed("ip", "mac"),
        help="A source address that is allowed besides its own; several times for several.",
    ),
    click.option(
        "--dhcp-option",
        "--extra-dhcp-opt",
        "dhcp_option",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_dhcp_options,
        help="A DHCP option; several times for several.",
    ),
    click.option(
        "--dhcp6-option",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_dhcp_options,
        help="A DHCP option for IPv6; several times for several.",
    ),
    click.option(
        "--no-dhcp-option", metavar="NAME", multiple=True, help="No such DHCP option, of either IP version, any more."
    ),
    click.option("--device-id", metavar="ID", help="The device that uses it."),
    click.option("--device-owner", metavar="OWNER", help="The kind of device, as compute:nova."),
    click.option("--host", "--binding-host-id", "host", metavar="HOST", help="The host to bind it to."),
    click.option(
        "--vnic-type",
        "--binding-vnic-type",
        "vnic_type",
        metavar="TYPE",
        help="normal, direct, macvtap ... [default: normal]",
    ),
    click.option(
        "--profile",
        "--binding-profile",
        "profile",
        metavar="JSON",
        callback=_profile,
        help="The binding's profile, a JSON object.",
    ),
    click.option("--dns-name", metavar="NAME", help="Its DNS name."),
    flag("admin-state-up", "Whether it is to be up. [default: up]"),
    click.option("--description", metavar="TEXT", help="A description."),
)


port_options = together(_OPTIONS)
"""Everything that may be said of a new port or a changed one; the function gets it for `Wanted`."""
