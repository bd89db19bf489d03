"""`Orchestrator.network`: networks, subnets, ports, security groups and quotas for Python programs."""

from __future__ import annotations

from slipway.networks.service import Networks

__all__ = ["Networks"]
