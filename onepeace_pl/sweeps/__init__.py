"""Sweeps: runs x datasets x seeds x options from one file, one process per run."""
