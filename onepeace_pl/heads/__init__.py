"""Task heads on token features: classification, attention pooling, mean pooling."""

from onepeace_pl.heads.classify import ClassificationHead
from onepeace_pl.heads.mean import MeanPoolingHead
from onepeace_pl.heads.pooling import AttentionPooling

__all__ = ["AttentionPooling", "ClassificationHead", "MeanPoolingHead"]
