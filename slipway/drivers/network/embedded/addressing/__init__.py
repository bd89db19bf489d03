"""Which addresses there are in a subnet, and which of them a port gets."""
