"""What dense tasks share: patch features of pictures of any size, and pyramids of them."""

from onepeace_pl.dense.branch import DenseBranch, Patches
from onepeace_pl.dense.pyramid import SimplePyramid
from onepeace_pl.dense.vit_adapter import ViTAdapter

__all__ = ["DenseBranch", "Patches", "SimplePyramid", "ViTAdapter"]
