"""The steps of a build, one task each; `catalog` has them all, and those of other packages."""
