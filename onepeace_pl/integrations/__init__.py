"""Integrations of third-party libraries, behind lazy imports."""
