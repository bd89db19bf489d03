"""Fault injection over runs of a workflow: every call of its tasks and every commit, forward, back and in between."""

from slipway.drill.workflows.campaign import drill_workflow

__all__ = ["drill_workflow"]
