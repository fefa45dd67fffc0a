"""ViT-Adapter: a spatial prior module that interacts with a plain ViT (arXiv 2205.08534; docs/reference/tasks.md).

The ViT's blocks are unchanged. Before each group of them an injector adds convolutional features to the patches; after
it an extractor updates the convolutional features from the patches.

Shapes: B batch, N positions of three feature maps (strides 8, 16, 32), L patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.dense.branch import DenseBranch, Patches, stage_ends
from onepeace_pl.dense.deformable import DeformableAttention, Shape, grid_points
from onepeace_pl.dense.spatial_prior import SpatialPrior
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.residual import keep_factor

EPS = 1e-6  # of the LayerNorms here; the backbone's have PyTorch's default
LEVELS = 3


class Injector(nn.Module):
    """Injector: deformable cross-attention from patches to feature maps, with layer scale.

    Args:
        width: D.
        heads: Attention heads.
        points: Sampling points per level and head.
        init_value: Initial layer scale.
    """

    def __init__(self, width: int, heads: int, points: int, init_value: float = 1e-6) -> None:
        super().__init__()
        self.init_value = init_value
        self.query_norm, self.map_norm = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attention = DeformableAttention(width, heads, LEVELS, points, 0.5)
        self.scale = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.constant_(self.scale, self.init_value)

    def forward(self, patches: Tensor, grid: Shape, maps: Tensor, shapes: Sequence[Shape]) -> Tensor:
        """Return the patches (B, L, D)."""
        points = grid_points([grid], patches.device)
        out = self.attention(self.query_norm(patches), points, self.map_norm(maps), shapes)
        return torch.addcmul(patches, self.scale, out)


class ConvFeedForward(nn.Module):
    """Convolutional feed-forward: two linear layers with a depthwise convolution between them.

    Args:
        width: D.
        hidden: Inner width.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.convolve = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, maps: Tensor, shapes: Sequence[Shape]) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = self.widen(maps)
        images = _unflatten(x, shapes)
        out: Tensor = self.narrow(F.gelu(_flatten([self.convolve(image) for image in images])))
        return out


class Extractor(nn.Module):
    """Extractor: deformable cross-attention from feature maps to patches, then a convolutional feed-forward.

    Args:
        width: D.
        heads: Attention heads.
        points: Sampling points per head.
        drop_path: Stochastic depth rate of the feed-forward.
    """

    def __init__(self, width: int, heads: int, points: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.query_norm, self.patch_norm = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attention = DeformableAttention(width, heads, 1, points, 0.5)
        self.feed_forward_norm = nn.LayerNorm(width, EPS)
        self.feed_forward = ConvFeedForward(width, width // 4)

    def forward(self, maps: Tensor, shapes: Sequence[Shape], patches: Tensor, grid: Shape) -> Tensor:
        """Return the maps (B, N, D)."""
        points = grid_points(shapes, maps.device)
        maps = maps + self.attention(self.query_norm(maps), points, self.patch_norm(patches), [grid])
        out: Tensor = self.feed_forward(self.feed_forward_norm(maps), shapes)
        if self.training and self.drop_path:
            out = out * keep_factor(out, self.drop_path)
        return maps + out


class ViTAdapter(nn.Module):
    """ViT-Adapter: four feature maps of strides 4 to 32.

    Args:
        config: Config of the encoder; its blocks form four groups.
        heads: Heads of deformable attention; None takes the encoder's.
        points: Sampling points per level and head.
        drop_path: Stochastic depth rate of the extractors.
        channels: Channels of the convolutional stem.
        extra_extractors: Extractors after the last block.
        modality: Name of the image adapter.

    Attributes:
        channels: Channels of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        heads: int | None = None,
        points: int = 4,
        drop_path: float = 0.0,
        channels: int = 64,
        extra_extractors: int = 2,
        modality: str = "image",
    ) -> None:
        super().__init__()
        width, depth, heads = config.width, config.depth, heads or config.heads
        self.channels, self.stage_ends = [width] * 4, stage_ends(depth)
        self.branch = DenseBranch(config, modality=modality)
        self.prior = SpatialPrior(width, channels)
        self.level_embedding = nn.Parameter(torch.empty(LEVELS, width))
        self.injectors = nn.ModuleList(Injector(width, heads, points) for _ in range(4))
        self.extractors = nn.ModuleList(Extractor(width, heads, points, drop_path) for _ in range(4))
        self.extra = nn.ModuleList(
            Extractor(width, heads, points, drop_path) for _ in range(extra_extractors)
        )
        self.enlarge = nn.ConvTranspose2d(width, width, 2, 2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the module's own parameters in place."""
        nn.init.normal_(self.level_embedding)

    def forward(self, encoder: Encoder, images: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> feature maps (B, D, ...), from the highest resolution down."""
        largest, *smaller = self.prior(images)
        shapes = [(image.shape[-2], image.shape[-1]) for image in smaller]
        maps = _flatten([i + e[:, None, None] for i, e in zip(smaller, self.level_embedding, strict=True)])
        patches = self.branch.embed(encoder, images)
        features = []
        groups = zip(self.injectors, self.extractors, [0, *self.stage_ends[:3]], self.stage_ends, strict=True)
        for injector, extractor, first, stop in groups:
            patches = _replace_patches(patches, injector(_patches(patches), patches.grid, maps, shapes))
            patches = self.branch(encoder, patches, first, stop)
            maps = extractor(maps, shapes, _patches(patches), patches.grid)
            features.append(patches.feature_map)
        for extractor in self.extra:
            maps = extractor(maps, shapes, _patches(patches), patches.grid)
        outputs = _unflatten(maps, shapes)
        upsampled = self.enlarge(outputs[0])[:, :, : largest.shape[-2], : largest.shape[-1]]
        outputs = [largest + upsampled, *outputs]
        return [
            norm(image + F.interpolate(own, size=image.shape[-2:], mode="bilinear", align_corners=False))
            for norm, image, own in zip(self.norms, outputs, features, strict=True)
        ]


def _patches(patches: Patches) -> Tensor:
    return patches.tokens[:, 1:] if patches.cls_token else patches.tokens


def _replace_patches(patches: Patches, values: Tensor) -> Patches:
    tokens = torch.cat([patches.tokens[:, :1], values], 1) if patches.cls_token else values
    return replace(patches, tokens=tokens)


def _flatten(images: Sequence[Tensor]) -> Tensor:
    """Flatten and concatenate feature maps (B, D, ...) -> (B, N, D)."""
    return torch.cat([image.flatten(2).transpose(1, 2) for image in images], 1)


def _unflatten(positions: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    parts = torch.split(positions, [height * width for height, width in shapes], 1)
    return [
        part.transpose(1, 2).reshape(len(part), -1, *shape) for part, shape in zip(parts, shapes, strict=True)
    ]
