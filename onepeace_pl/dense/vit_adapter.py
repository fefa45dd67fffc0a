"""ViT-Adapter: convolutions and a plain transformer tell each other what they see (arXiv 2205.08534).

Spec: tasks, section 13. The transformer's blocks are left as they are; between groups of them, what convolutions see
is added to the patches, and the patches are read back.

Shapes: B batch, N cells of three maps (an eighth, a sixteenth, a thirty-second of the picture), L patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.dense.branch import DenseBranch, Patches, quarters
from onepeace_pl.dense.deformable import DeformableAttention, Shape, places_of
from onepeace_pl.dense.spatial_prior import SpatialPrior
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.drop_path import keep_factor

EPS = 1e-6  # of the norms here; the backbone's have PyTorch's
LEVELS = 3


class Injector(nn.Module):
    """Adds to the patches what they read from the maps; at first next to nothing.

    Args:
        width: D.
        heads: Of attention.
        points: That a head reads of each map.
        start: Of the factor.
    """

    def __init__(self, width: int, heads: int, points: int, start: float = 1e-6) -> None:
        super().__init__()
        self.start = start
        self.query_norm, self.map_norm = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attention = DeformableAttention(width, heads, LEVELS, points, 0.5)
        self.scale = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.constant_(self.scale, self.start)

    def forward(self, patches: Tensor, grid: Shape, maps: Tensor, shapes: Sequence[Shape]) -> Tensor:
        """Return the patches (B, L, D)."""
        places = places_of([grid], patches.device)
        read = self.attention(self.query_norm(patches), places, self.map_norm(maps), shapes)
        return torch.addcmul(patches, self.scale, read)


class ConvFeedForward(nn.Module):
    """Two layers with a convolution of each map between them.

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
        images = _images(x, shapes)
        return self.narrow(F.gelu(_cells([self.convolve(image) for image in images])))  # type: ignore[no-any-return]


class Extractor(nn.Module):
    """Maps read the patches, then pass a feed-forward.

    Args:
        width: D.
        heads: Of attention.
        points: That a head reads.
        drop_path: Probability of leaving the feed-forward out.
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
        places = places_of(shapes, maps.device)
        maps = maps + self.attention(self.query_norm(maps), places, self.patch_norm(patches), [grid])
        out = self.feed_forward(self.feed_forward_norm(maps), shapes)
        if self.training and self.drop_path:
            out = out * keep_factor(out, self.drop_path)
        return maps + out  # type: ignore[no-any-return]


class ViTAdapter(nn.Module):
    """Four maps of a picture, of a quarter to a thirty-second of its size.

    Args:
        config: Of the encoder; its blocks make four groups.
        heads: Of deformable attention; None takes the encoder's.
        points: That a head reads of each map.
        drop_path: Probability of leaving an extractor's feed-forward out.
        channels: Of the first convolutions.
        extra: Extractors behind the last block.
        modality: Name of the picture adapter.

    Attributes:
        channels: Of each map.
    """

    def __init__(
        self,
        config: TransformerConfig,
        heads: int | None = None,
        points: int = 4,
        drop_path: float = 0.0,
        channels: int = 64,
        extra: int = 2,
        modality: str = "image",
    ) -> None:
        super().__init__()
        width, depth, heads = config.width, config.depth, heads or config.heads
        self.channels, self.stops = [width] * 4, quarters(depth)
        self.branch = DenseBranch(config, modality=modality)
        self.prior = SpatialPrior(width, channels)
        self.level_embedding = nn.Parameter(torch.empty(LEVELS, width))
        self.injectors = nn.ModuleList(Injector(width, heads, points) for _ in range(4))
        self.extractors = nn.ModuleList(Extractor(width, heads, points, drop_path) for _ in range(4))
        self.extra = nn.ModuleList(Extractor(width, heads, points, drop_path) for _ in range(extra))
        self.enlarge = nn.ConvTranspose2d(width, width, 2, 2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place what is this module's own."""
        nn.init.normal_(self.level_embedding)

    def forward(self, encoder: Encoder, pictures: Tensor) -> list[Tensor]:
        """(B, 3, 16 h, 16 w) -> maps (B, D, ...), the largest first."""
        largest, *smaller = self.prior(pictures)
        shapes = [(image.shape[-2], image.shape[-1]) for image in smaller]
        maps = _cells([i + e[:, None, None] for i, e in zip(smaller, self.level_embedding, strict=True)])
        patches = self.branch.start(encoder, pictures)
        said = []
        groups = zip(self.injectors, self.extractors, [0, *self.stops[:3]], self.stops, strict=True)
        for injector, extractor, first, stop in groups:
            patches = _changed(patches, injector(_patches(patches), patches.grid, maps, shapes))
            patches = self.branch(encoder, patches, first, stop)
            maps = extractor(maps, shapes, _patches(patches), patches.grid)
            said.append(patches.image)
        for extractor in self.extra:
            maps = extractor(maps, shapes, _patches(patches), patches.grid)
        images = _images(maps, shapes)
        first = self.enlarge(images[0])
        images = [largest + first[:, :, : largest.shape[-2], : largest.shape[-1]], *images]
        return [
            norm(image + F.interpolate(own, size=image.shape[-2:], mode="bilinear", align_corners=False))
            for norm, image, own in zip(self.norms, images, said, strict=True)
        ]


def _patches(patches: Patches) -> Tensor:
    return patches.tokens[:, 1:] if patches.summary else patches.tokens


def _changed(patches: Patches, values: Tensor) -> Patches:
    tokens = torch.cat([patches.tokens[:, :1], values], 1) if patches.summary else values
    return replace(patches, tokens=tokens)


def _cells(images: Sequence[Tensor]) -> Tensor:
    """Maps (B, D, ...) -> (B, N, D), one map after the other, row by row."""
    return torch.cat([image.flatten(2).transpose(1, 2) for image in images], 1)


def _images(cells: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    parts = torch.split(cells, [height * width for height, width in shapes], 1)
    return [
        part.transpose(1, 2).reshape(len(part), -1, *shape) for part, shape in zip(parts, shapes, strict=True)
    ]
