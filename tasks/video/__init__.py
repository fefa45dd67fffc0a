"""Video classification: frames through the image backbone, with space-time adapters (AIM)."""

from onepeace_pl.tasks.video.task import VideoClassification

__all__ = ["VideoClassification"]
