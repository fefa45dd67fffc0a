"""Evaluation metrics: retrieval recall, classification accuracy, results by class, chance, optimum; the gap."""

from onepeace_pl.metrics.by_class import ByClass, ClassMetric, PrecisionRecallCurve
from onepeace_pl.metrics.gap_report import Measurement, gap_report, paired_differences
from onepeace_pl.metrics.labelled import LabelledResult
from onepeace_pl.metrics.mixed_pool import Items, MixedPool, TargetRanks, mixed_pools
from onepeace_pl.metrics.modality_gap import centroid_distances, probe_accuracy
from onepeace_pl.metrics.optimum import AboveOptimumError, above_optimum
from onepeace_pl.metrics.result import DirectionResult, FactorAccuracy, GroupRecall, RetrievalResult
from onepeace_pl.metrics.retrieval import RetrievalMetric
from onepeace_pl.metrics.rows import RowTable

__all__ = [
    "AboveOptimumError",
    "ByClass",
    "ClassMetric",
    "DirectionResult",
    "FactorAccuracy",
    "GroupRecall",
    "Items",
    "LabelledResult",
    "Measurement",
    "MixedPool",
    "PrecisionRecallCurve",
    "RetrievalMetric",
    "RetrievalResult",
    "RowTable",
    "TargetRanks",
    "above_optimum",
    "centroid_distances",
    "gap_report",
    "mixed_pools",
    "paired_differences",
    "probe_accuracy",
]
