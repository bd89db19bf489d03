"""How a workflow's file is read: its keys, its values, its steps, what it refers to, and what that is."""
