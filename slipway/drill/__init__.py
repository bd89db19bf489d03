"""Fault injection over whole runs: every effect failed, crashed, hung and paused, and what must hold afterwards."""
