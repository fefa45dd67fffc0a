"""Evaluation sets: labelled rows, retrieval galleries, and the baselines they are compared with."""
