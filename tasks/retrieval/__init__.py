"""Retrieval: fine-tuning two modalities to find each other, and measuring how well they do."""

from onepeace_pl.tasks.retrieval.task import Retrieval

__all__ = ["Retrieval"]
