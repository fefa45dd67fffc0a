"""Detection and instance segmentation."""

from onepeace_pl.tasks.detection.average_precision import AveragePrecision
from onepeace_pl.tasks.detection.cascade import CascadeRCNN
from onepeace_pl.tasks.detection.evaluator import DetectionEvaluator
from onepeace_pl.tasks.detection.task import Detection

__all__ = ["AveragePrecision", "CascadeRCNN", "Detection", "DetectionEvaluator"]
