"""Cross-modal retrieval: fine-tuning and evaluation."""

from onepeace_pl.tasks.retrieval.task import Retrieval

__all__ = ["Retrieval"]
