"""Routers, floating IPs and port forwardings (Neutron: its L3 and port forwarding plugins)."""
