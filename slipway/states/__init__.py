"""The record: what is so, and how it may change."""
