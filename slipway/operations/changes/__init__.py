"""Changes of instances that were built."""
