"""Semantic segmentation."""

from tasks.segmentation.inference import Inference
from tasks.segmentation.task import Segmentation
from tasks.segmentation.upernet import UPerNet

__all__ = ["Inference", "Segmentation", "UPerNet"]
