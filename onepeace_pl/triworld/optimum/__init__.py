"""Optima of TriWorld: the best achievable retrieval and task results, from the exact likelihood."""
