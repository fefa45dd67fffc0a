"""Semantic segmentation."""

from tasks.segmentation.inference import Inference
from tasks.segmentation.mask2former import Mask2Former
from tasks.segmentation.task import Segmentation
from tasks.segmentation.upernet import UPerNet

__all__ = ["Inference", "Mask2Former", "Segmentation", "UPerNet"]
