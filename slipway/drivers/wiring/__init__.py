"""What connects a port to its host: bridges and taps."""
