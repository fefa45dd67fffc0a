"""Utilities without torch.nn: files, locks, ranks, seeds, optional libraries, plug-in imports."""
