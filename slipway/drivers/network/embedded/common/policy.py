"""What ordinary projects may ask for (Neutron: its default policies). Administrators may ask for everything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.common.resource import Resource
from slipway.model.network import Context

NETWORK_ADMIN = (
    "shared",
    "router_external",
    "provider_network_type",
    "provider_physical_network",
    "provider_segmentation_id",
)
PORT_ADMIN = ("binding_host_id", "binding_profile")
_OWNERS = ("mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs", "device_owner")


def check_admin_only(
    context: Context, resource: Resource, values: Mapping[str, Any], names: Collection[str], *, create: bool
) -> None:
    """Raises `PolicyNotAuthorized` when one of these attributes is given by who is no administrator.

    What is given in a new thing and only says the default is let pass.
    """
    if context.is_admin:
        return
    for name in names:
        if name in values and not (create and values[name] == resource.attributes[name].default):
            raise _forbidden(resource, name)


def check_port(context: Context, resource: Resource, values: Mapping[str, Any], network: Any, *, create: bool) -> None:
    """Raises `PolicyNotAuthorized` for what only administrators, or only the network's owner, may say of a port."""
    if context.is_admin:
        return
    admin_only = PORT_ADMIN if create else (*PORT_ADMIN, "mac_address")
    check_admin_only(context, resource, values, admin_only, create=create)
    if network.network_project == context.project_id:
        return
    for name in _OWNERS:
        if values.get(name, resource.attributes[name].default) != resource.attributes[name].default:
            if name == "device_owner" and not values[name].startswith("network:"):
                continue
            if name == "fixed_ips" and network.shared and _names_subnets_only(values[name], create=create):
                continue
            raise _forbidden(resource, name)


def check_network(context: Context, project: str, owner: str, *, shared: bool) -> None:
    """Raises `PolicyNotAuthorized` for a port of `project` on a network that is neither its own nor shared."""
    if not context.is_admin and not shared and owner != project:
        raise errors.PolicyNotAuthorized(f"port: project {project} may not have one on this network")


def _names_subnets_only(fixed_ips: Any, *, create: bool) -> bool:
    return create and all(entry.address is None for entry in fixed_ips)


def _forbidden(resource: Resource, name: str) -> errors.PolicyNotAuthorized:
    return errors.PolicyNotAuthorized(f"{resource.name}: {name} may not be set by this project here")
