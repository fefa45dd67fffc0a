"""Pretraining of both stages: alignment of two modalities, and denoising of hidden tokens."""

from tasks.pretraining.students import MaskSampler, Student
from tasks.pretraining.task import Pretraining

__all__ = ["MaskSampler", "Pretraining", "Student"]
