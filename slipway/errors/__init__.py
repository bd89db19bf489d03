"""Every error that Slipway raises. The class decides what happens to a build, never the text."""

from __future__ import annotations

from slipway.errors.base import *  # noqa: F403
from slipway.errors.network import *  # noqa: F403
from slipway.errors.routing import *  # noqa: F403
