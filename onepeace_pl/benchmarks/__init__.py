"""Benchmarks: speed and memory against a plain implementation of the original."""
