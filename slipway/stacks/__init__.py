"""What a run file brings about besides its instances."""
