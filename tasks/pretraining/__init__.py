"""Pretraining of both stages: cross-modal contrast, and denoising of masked tokens."""

from onepeace_pl.tasks.pretraining.composed import ComposedQuery
from onepeace_pl.tasks.pretraining.students import MaskSampler, Student
from onepeace_pl.tasks.pretraining.task import Pretraining

__all__ = ["ComposedQuery", "MaskSampler", "Pretraining", "Student"]
