"""Ports: made, changed, deleted, shown."""
