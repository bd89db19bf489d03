"""The steps of a build, one task each."""
