"""Classification of images, audio or text: with a trained head, or zero-shot by prompts."""

from onepeace_pl.tasks.classification.task import Classification, MultiLabelClassification
from onepeace_pl.tasks.classification.zero_shot import ZeroShotClassification

__all__ = ["Classification", "MultiLabelClassification", "ZeroShotClassification"]
