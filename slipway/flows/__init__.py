"""In which order things are done and undone."""
