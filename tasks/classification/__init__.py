"""Classification of pictures, sounds or texts: with a trained head, or by words alone."""

from onepeace_pl.tasks.classification.task import Classification, MultiLabelClassification
from onepeace_pl.tasks.classification.zero_shot import ZeroShotClassification

__all__ = ["Classification", "MultiLabelClassification", "ZeroShotClassification"]
