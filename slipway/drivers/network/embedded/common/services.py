"""What all parts of the embedded network share."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

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

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
