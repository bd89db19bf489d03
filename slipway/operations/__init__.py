"""What can be done to instances and hosts: each a verb, or a look."""
