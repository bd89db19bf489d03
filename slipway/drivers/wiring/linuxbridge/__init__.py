"""Linux bridges, taps, filters and DHCP servers, in a network namespace if the host has one."""
