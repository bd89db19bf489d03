"""Settings: one frozen dataclass, read from a run file's `settings:` and from options, never at import."""

from typing import Annotated, TypeAlias

from msgspec import Struct

from slipway.model.limits import (
    Between,
    Distinct,
    Mac,
    Matching,
    Name,
    Quota,
    Ratio,
    Retries,
    Seconds,
    SecondsOrZero,
    Text,
)

Url: TypeAlias = Annotated[
    str, Matching(r"https?://[^@\s/?#]+(/[^@\s?#]*)?", "an http or https URL without user or password")
]


class Settings(Struct, frozen=True):
    """What a user may tune. Times are seconds; a quota of -1 means without limit.

    `network` names the network driver. For neutron either `cloud` names a cloud of the user's clouds.yaml, where the
    secrets are, or `endpoint` is the URL of a Neutron without Keystone. `webhook`: where `slipway events
    --webhook` sends events to that names no other URL. `dns_domain`: where fully qualified names of ports must be in.
    """

    network: Name = "embedded"
    cloud: Name | None = None
    endpoint: Url | None = None
    webhook: Url | None = None
    max_attempts: Retries = 3
    network_allocate_retries: Annotated[int, Between(None, 1000)] = 2
    cpu_ratio: Ratio = 4.0
    memory_ratio: Ratio = 1.0
    disk_ratio: Ratio = 1.0
    step_timeout: Seconds = 120.0
    takeover_grace: SecondsOrZero = 60.0
    poll_interval: Seconds = 0.5
    shutdown_timeout: SecondsOrZero = 60.0
    default_access_network: Text | None = None
    base_mac: Mac = "fa:16:3e:00:00:00"
    physical_networks: Annotated[tuple[Text, ...], Distinct()] = ("physnet1",)
    mac_generation_retries: Retries = 16
    dns_domain: Text | None = None
    max_fixed_ips_per_port: Annotated[int, Between(1, 100_000)] | None = None
    quota_network: Quota = 100
    quota_subnet: Quota = 100
    quota_port: Quota = 500
    quota_security_group: Quota = 10
    quota_security_group_rule: Quota = 100
    quota_router: Quota = 10
    quota_floatingip: Quota = 50
    quota_router_route: Quota = 30
