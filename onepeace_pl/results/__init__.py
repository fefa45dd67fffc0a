"""Typed results of predictions."""

from onepeace_pl.results.answers import AnswerResult, BoxResult, ChoiceResult, StatementResult
from onepeace_pl.results.base import PlainResult, Result
from onepeace_pl.results.classification import ClassificationResult, MultiLabelResult
from onepeace_pl.results.objects import DetectionResult, SegmentationResult

__all__ = [
    "AnswerResult",
    "BoxResult",
    "ChoiceResult",
    "ClassificationResult",
    "DetectionResult",
    "MultiLabelResult",
    "PlainResult",
    "Result",
    "SegmentationResult",
    "StatementResult",
]
