"""Evaluation metrics: retrieval recall@k and classification accuracy, with chance and optimum."""

from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.optimum import AboveOptimumError, above_optimum
from onepeace_pl.metrics.result import DirectionResult, FactorAccuracy, GroupRecall, RetrievalResult
from onepeace_pl.metrics.retrieval import RetrievalMetric
from onepeace_pl.metrics.rows import RowTable

__all__ = [
    "AboveOptimumError",
    "DirectionResult",
    "FactorAccuracy",
    "GroupRecall",
    "LabelledResult",
    "RetrievalMetric",
    "RetrievalResult",
    "RowTable",
    "above_optimum",
]
