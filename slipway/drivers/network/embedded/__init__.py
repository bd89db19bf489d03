"""Networks as rows of our own database, with Neutron's rules."""
