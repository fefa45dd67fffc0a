"""Pretraining of both stages: alignment of two modalities, and denoising of hidden tokens."""

from onepeace_pl.tasks.pretraining.students import MaskSampler, Student
from onepeace_pl.tasks.pretraining.task import Pretraining

__all__ = ["MaskSampler", "Pretraining", "Student"]
