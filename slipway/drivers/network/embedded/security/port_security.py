"""Port security, allowed address pairs and the security groups of ports: what goes together, and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from slipway import errors
from slipway.drivers.network.embedded.common.owners import is_trusted
from slipway.drivers.network.embedded.common.tables import port_security_groups, security_groups
from slipway.model.network import Context
from slipway.states.store import Transaction

_INSERT = port_security_groups.insert()
_DELETE = port_security_groups.delete().where(port_security_groups.c.port_id == sa.bindparam("port"))
_KNOWN = sa.select(security_groups.c.id).where(
    security_groups.c.id.in_(sa.bindparam("ids", expanding=True)),
    sa.or_(sa.bindparam("admin", type_=sa.Boolean), security_groups.c.project_id == sa.bindparam("project")),
)


def is_enabled(device_owner: str, wanted: bool | None, network_has_it: bool) -> bool:
    """Whether a new port has port security: never the network's own ports, else as asked for, else as the network."""
    if is_trusted(device_owner):
        return False
    return network_has_it if wanted is None else wanted


def check_new(values: Mapping[str, Any]) -> None:
    """Raises `AddressPairAndPortSecurityRequired`, `PortSecurityAndIPRequiredForSecurityGroups`."""
    if values["port_security_enabled"]:
        return
    if values["allowed_address_pairs"]:
        raise _pairs_need_security()
    if values["security_groups"]:
        raise _groups_need_security()


def check_changed(enabled: bool, values: Mapping[str, Any], current_pairs: Any, current_groups: Any) -> None:
    """The same for a change: what stays on the port counts as well.

    Raises also `PortSecurityPortHasSecurityGroup`.
    """
    if enabled:
        return
    if values.get("allowed_address_pairs", current_pairs):
        raise _pairs_need_security()
    if values.get("security_groups"):
        raise _groups_need_security()
    if "security_groups" not in values and current_groups:
        raise errors.PortSecurityPortHasSecurityGroup(
            "port_security_enabled: cannot be switched off while the port has security groups; give an empty list"
        )


def _pairs_need_security() -> errors.NetworkError:
    return errors.AddressPairAndPortSecurityRequired("allowed_address_pairs: need port security, which is off")


def _groups_need_security() -> errors.NetworkError:
    return errors.PortSecurityAndIPRequiredForSecurityGroups("security_groups: need port security, which is off")


def check_groups(tx: Transaction, context: Context, project: str, ids: Sequence[str]) -> None:
    """Raises `SecurityGroupNotFound` for a group that is not there, or is another project's."""
    if ids:
        known = set(tx.scalars(_KNOWN, {"ids": list(ids), "admin": context.is_admin, "project": project}))
        if missing := [group for group in ids if group not in known]:
            raise errors.SecurityGroupNotFound(f"security group {', '.join(missing)}: not found")


def set_groups(tx: Transaction, port_id: str, ids: Sequence[str], *, new: bool = False) -> None:
    """Make these the port's groups, in this order."""
    if not new:
        tx.execute(_DELETE, {"port": port_id})
    if ids:
        rows = [{"port_id": port_id, "security_group_id": group, "position": place} for place, group in enumerate(ids)]
        tx.execute(_INSERT, rows)


def with_own_mac(pairs: Sequence[Mapping[str, str]], mac: str) -> list[dict[str, str]]:
    """The allowed address pairs, with the port's MAC where none was given. Raises `DuplicateAddressPairInRequest`."""
    complete = [{"ip_address": pair["ip_address"], "mac_address": pair.get("mac_address", mac)} for pair in pairs]
    for index, pair in enumerate(complete):
        if pair in complete[:index]:
            raise errors.DuplicateAddressPairInRequest(
                f"allowed_address_pairs: {pair['ip_address']} with {pair['mac_address']} is named twice"
            )
    return complete
