"""Benchmarks: `python -m bench.builds --help`; README.md says what each of them shows."""
