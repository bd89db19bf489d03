"""Networks and subnets, what carries them, and what binds ports to hosts."""
