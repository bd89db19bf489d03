"""The drill of a verb: a change of instances that are there, in place of their build."""
