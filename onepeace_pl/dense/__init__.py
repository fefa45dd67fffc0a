"""What dense tasks share: patch features of pictures of any size, and pyramids of them.

A neck is a module made of the encoder's config; called with an encoder and pictures (B, 3, 16 h, 16 w) it gives maps,
the largest first, with as many ``channels`` as it says.
"""

from onepeace_pl.dense.branch import DenseBranch, Patches
from onepeace_pl.dense.pyramid import BlockPyramid, SimplePyramid
from onepeace_pl.dense.vit_adapter import ViTAdapter

__all__ = ["BlockPyramid", "DenseBranch", "Patches", "SimplePyramid", "ViTAdapter"]
