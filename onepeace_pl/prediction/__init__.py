"""Predictions of a trained task for new files."""

from onepeace_pl.prediction.predictor import Predictor

__all__ = ["Predictor"]
