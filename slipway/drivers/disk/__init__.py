"""Disks of instances."""
