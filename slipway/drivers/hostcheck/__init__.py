"""What this machine can do for real virtual machines, found out by doing it."""
