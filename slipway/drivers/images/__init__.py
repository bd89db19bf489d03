"""Images: fetched, checked, converted, kept once, and known by their names."""
