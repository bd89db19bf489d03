"""What None says in a request: for network drivers "not given", for Neutron's API null, which may be a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway import errors


def as_given(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a new thing as drivers take them: a null that would not mean "not given" is said otherwise.

    As `security_groups` it is the empty list (Neutron). Raises `HTTPBadRequest` for it as `fixed_ips` (Neutron), and
    for a `project_id` that is empty.
    """
    if attributes.get("project_id") == "":
        raise errors.HTTPBadRequest("project_id: must not be empty")
    if attributes.get("fixed_ips", ()) is None:
        raise errors.HTTPBadRequest("fixed_ips: None is not a list; leave it out for automatic addresses, [] is none")
    if attributes.get("security_groups", ()) is None:
        return {**attributes, "security_groups": ()}
    return attributes
