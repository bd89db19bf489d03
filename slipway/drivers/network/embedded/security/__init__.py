"""Security groups, their rules, and what holds at a port."""
