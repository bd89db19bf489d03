"""Hypervisors that libvirt manages, on any of its URIs; needs the extra `slipway[libvirt]`."""
