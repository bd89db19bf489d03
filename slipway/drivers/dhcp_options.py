"""The form of a port's DHCP options: what can be told any DHCP server without meaning something else to it."""

from __future__ import annotations

import re

from slipway.model.network import DhcpOption

_NAME = re.compile(r"[A-Za-z0-9+-]{1,64}")
_HIGHEST = {4: 254, 6: 65535}
_CHANGES_HOW_IT_IS_READ = re.compile(r'["\\]|(^|\s)#')
"""Quotes and backslashes do; what follows a # is a comment."""


def check_form(option: DhcpOption) -> None:
    """Raises `ValueError` for a name that is none, a number that does not exist, and a value that says more."""
    name, value = option.opt_name, option.opt_value
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no DHCP option's name or number")
    if name.isdecimal() and not 0 < int(name) <= _HIGHEST[option.ip_version]:
        # A server would take the number's lowest bits.
        raise ValueError(f"there is no DHCP option {name} for IPv{option.ip_version}")
    if not value.isprintable() or _CHANGES_HOW_IT_IS_READ.search(value):
        raise ValueError(f"the value of DHCP option {name} has characters that are not allowed: {value!r}")
