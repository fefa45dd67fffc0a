"""Downstream and pretraining tasks, one folder each."""
