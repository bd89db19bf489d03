"""Real NICs on Linux: bridges, taps and uplinks by netlink, DHCP by dnsmasq, filters by nftables."""
