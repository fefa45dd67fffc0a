"""Typed results of predictions."""

from onepeace_pl.results.base import PlainResult, Result
from onepeace_pl.results.classification import ClassificationResult, MultiLabelResult

__all__ = ["ClassificationResult", "MultiLabelResult", "PlainResult", "Result"]
