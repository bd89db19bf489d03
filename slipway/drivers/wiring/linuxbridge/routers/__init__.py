"""Routers of a host: a namespace each, in which the kernel forwards and nftables translates."""
