"""Settings: one frozen dataclass, read from a run file's `settings:` and from options, never at import."""

from __future__ import annotations

from msgspec import Struct


class Settings(Struct, frozen=True):
    """What a user may tune. Times are seconds; a quota of -1 means without limit.

    `network` names the network driver. For neutron either `cloud` names a cloud of the user's clouds.yaml, where the
    secrets are, or `endpoint` is the URL of a Neutron without Keystone.
    """

    network: str = "embedded"
    cloud: str | None = None
    endpoint: str | None = None
    max_attempts: int = 3
    network_allocate_retries: int = 2
    cpu_ratio: float = 4.0
    memory_ratio: float = 1.0
    disk_ratio: float = 1.0
    step_timeout: float = 120.0
    takeover_grace: float = 60.0
    poll_interval: float = 0.5
    shutdown_timeout: float = 60.0
    default_access_network: str | None = None
    base_mac: str = "fa:16:3e:00:00:00"
    physical_networks: tuple[str, ...] = ("physnet1",)
    mac_generation_retries: int = 16
    max_fixed_ips_per_port: int | None = None
    quota_network: int = 100
    quota_subnet: int = 100
    quota_port: int = 500
    quota_security_group: int = 10
    quota_security_group_rule: int = 100
