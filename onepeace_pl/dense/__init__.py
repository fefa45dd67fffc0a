"""Dense prediction: ViT features of images of any size, feature pyramids (ViTDet, UPerNet) and ViT-Adapter.

A neck is built from the encoder's config. Called with an encoder and images (B, 3, 16 h, 16 w) it returns feature maps
from the highest resolution down; ``neck.channels`` holds their numbers of channels.
"""

from onepeace_pl.dense.branch import DenseBranch, Patches
from onepeace_pl.dense.pyramid import BlockFeaturePyramid, SimpleFeaturePyramid
from onepeace_pl.dense.vit_adapter import ViTAdapter

__all__ = ["BlockFeaturePyramid", "DenseBranch", "Patches", "SimpleFeaturePyramid", "ViTAdapter"]
