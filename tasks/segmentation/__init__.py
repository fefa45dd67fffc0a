"""Semantic segmentation."""

from onepeace_pl.tasks.segmentation.inference import Inference
from onepeace_pl.tasks.segmentation.mask2former import Mask2Former
from onepeace_pl.tasks.segmentation.task import Segmentation
from onepeace_pl.tasks.segmentation.upernet import UPerNet

__all__ = ["Inference", "Mask2Former", "Segmentation", "UPerNet"]
