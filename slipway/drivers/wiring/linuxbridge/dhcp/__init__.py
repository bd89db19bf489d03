"""DHCP by dnsmasq, one server for each network of a host."""
