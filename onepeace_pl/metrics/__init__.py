"""Metrics of what a model can do."""

from onepeace_pl.metrics.optimum import AboveOptimumError, above_optimum
from onepeace_pl.metrics.result import DirectionResult, FactorAccuracy, GroupRecall, RetrievalResult
from onepeace_pl.metrics.retrieval import RetrievalMetric

__all__ = [
    "AboveOptimumError",
    "DirectionResult",
    "FactorAccuracy",
    "GroupRecall",
    "RetrievalMetric",
    "RetrievalResult",
    "above_optimum",
]
