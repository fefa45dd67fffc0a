"""Task heads on token features: classification, attention pooling, mean pooling."""

from onepeace_pl.heads.classification import AttentionPooling, ClassificationHead
from onepeace_pl.heads.mean import MeanPoolingHead

__all__ = ["AttentionPooling", "ClassificationHead", "MeanPoolingHead"]
