"""Heads: what turns features of the backbone into the answer of a task. They ask for tokens, not for a model."""

from onepeace_pl.heads.classify import ClassifyHead
from onepeace_pl.heads.mean import MeanHead
from onepeace_pl.heads.pooling import AttentionPooling

__all__ = ["AttentionPooling", "ClassifyHead", "MeanHead"]
