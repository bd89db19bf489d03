"""YAML with positions: documents, scalars, units, and the mistakes in them."""
