"""What touches the world outside the record."""
