"""Detection and instance segmentation."""

from tasks.detection.average_precision import AveragePrecision
from tasks.detection.cascade import CascadeRCNN
from tasks.detection.task import Detection

__all__ = ["AveragePrecision", "CascadeRCNN", "Detection"]
