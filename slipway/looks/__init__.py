"""Pictures of what is on record and of what is written: workflows, states, and how long each step took."""
