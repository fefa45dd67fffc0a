"""Task heads on token features: classification, attention pooling, mean pooling."""

from onepeace_pl.heads.classify import ClassifyHead
from onepeace_pl.heads.mean import MeanHead
from onepeace_pl.heads.pooling import AttentionPooling

__all__ = ["AttentionPooling", "ClassifyHead", "MeanHead"]
