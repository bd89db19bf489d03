"""What all parts of the embedded network share."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.common.macs import MacGenerator
from slipway.drivers.network.embedded.common.quotas import Quotas
from slipway.settings import Settings


class Services(Struct, frozen=True):
    """Settings, randomness, time and quotas, passed in so that tests can choose them."""

    settings: Settings
    rng: random.Random
    clock: Callable[[], datetime]
    macs: MacGenerator
    quotas: Quotas

    def check_dns_name(self, values: Mapping[str, object]) -> None:
        """Raises `HTTPBadRequest` for a port's fully qualified name that is not in the service's domain."""
        name, domain = values.get("dns_name"), self.settings.dns_domain
        if (
            domain
            and isinstance(name, str)
            and name.endswith(".")
            and not name.endswith(f".{domain.lower().strip('.')}.")
        ):
            raise errors.HTTPBadRequest(f"dns_name: {name!r} is not in the domain {domain}; see `dns_domain`")

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
