"""Networks of a Neutron that is there already, through openstacksdk; needs the extra `slipway[neutron]`."""
