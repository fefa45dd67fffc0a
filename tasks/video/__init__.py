"""Classification of clips: frames through the backbone of pictures, and small adapters that let them see each other."""

from onepeace_pl.tasks.video.task import VideoClassification

__all__ = ["VideoClassification"]
