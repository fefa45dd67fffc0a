"""The image adapter: patch embedding and learned positions on a grid (paper, section 3.1).

Shapes: B batch, S image side in pixels, P patches, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.adapter import ModalityAdapter
from onepeace_pl.modalities.image.processor import ImageProcessor
from onepeace_pl.nn import (
    GridBuckets,
    RelativeBias,
    TransformerConfig,
    enlarge_relative_table,
    resize_positions,
)
from onepeace_pl.nn.init import truncated_normal_

PatchStem = Literal["hmlp", "linear"]
PATCH = 16  # pixels along a side of a patch


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W) at each place."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PatchConv(nn.Conv2d):
    """A convolution whose windows do not overlap, with the original's zero bias at the start."""

    def __init__(self, channels_in: int, channels_out: int, size: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, size, size, bias=bias)

    def reset_parameters(self) -> None:
        """Initialise in place: PyTorch's own weight, zero bias."""
        super().reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def hierarchical_stem(width: int) -> nn.Sequential:
    """Return the released model's stem: 4, 2 and 2 pixels a step, so patches never interact."""
    quarter = width // 4
    return nn.Sequential(
        PatchConv(3, quarter, 4),
        ChannelNorm(quarter),
        nn.GELU(),
        PatchConv(quarter, quarter, 2),
        ChannelNorm(quarter),
        nn.GELU(),
        PatchConv(quarter, width, 2),
    )


class ImageAdapter(ModalityAdapter):
    """Patches of 16 pixels with learned positions on a grid.

    Args:
        config: Width, heads and switches of the encoder.
        image_size: Side S of the images in pixels, a multiple of 16.
        position_side: Side of the learned grid of absolute positions, resized to the image's at every
            forward; 0 for the image's own.
        patch_stem: ``hmlp`` (released) or ``linear``, one bias-free convolution.
        embedding_norm: LayerNorm on the embeddings before positions are added.
        shrink: Share of the gradient that reaches the embeddings.
        types: 2 for the type embeddings of NLVR2.
    """

    no_weight_decay = frozenset({"cls_token", "position_table"})
    decoder_unused = ("cls_token",)

    def __init__(
        self,
        config: TransformerConfig,
        image_size: int = 256,
        position_side: int = 16,
        patch_stem: PatchStem = "hmlp",
        embedding_norm: bool = False,
        shrink: float = 1.0,
        types: int = 0,
    ) -> None:
        if image_size % PATCH or image_size <= 0:
            raise UserError(f"image_size {image_size} is not a multiple of {PATCH} pixels")
        if patch_stem not in get_args(PatchStem):
            raise UserError(f"no patch_stem {patch_stem!r}; there are {', '.join(get_args(PatchStem))}")
        self_side = image_size // PATCH
        bias = RelativeBias(GridBuckets(self_side), config.heads, config.bias_tables)
        super().__init__(config, self_side**2 + 1, bias, embedding_norm, shrink, types)
        self.image_size, self.patch_stem, self.side = image_size, patch_stem, self_side
        self.position_side = position_side or self_side
        self.patches: nn.Module = (
            hierarchical_stem(config.width)
            if patch_stem == "hmlp"
            else PatchConv(3, config.width, PATCH, bias=False)
        )
        self.position_table = nn.Parameter(torch.empty(self.position_side**2 + 1, config.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        super().reset_parameters()
        truncated_normal_(self.position_table, self.config.init_std)

    @property
    def decoder_grid(self) -> int | None:
        """Side of the patch grid."""
        return self.side

    @property
    def decoder_positions(self) -> int:
        """Rows of the decoder's grid of positions: as many as the encoder's."""
        return self.position_side**2 + 1

    def adapt(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Enlarge relative tables to this grid, and a smaller grid of absolute positions to this one's."""
        state = super().adapt(state)
        for name, table in state.items():
            if name.startswith("bias.tables."):
                state[name] = enlarge_relative_table(table, self.side)
        positions = state.get("position_table")
        if positions is not None and len(positions) < len(self.position_table):
            state["position_table"] = resize_positions(positions, self.position_side)
        return state

    def stem(self, values: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) -> (B, P, D), row by row."""
        if values.shape[-2:] != (self.image_size, self.image_size):
            height, width = values.shape[-2:]
            raise UserError(
                f"images of {height} x {width} pixels for a model of {self.image_size} x "
                f"{self.image_size}; resize them, or set image_size"
            )
        patches: Tensor = self.patches(values.to(self.position_table.dtype))
        return patches.flatten(2).transpose(1, 2)

    def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
        """Grid positions, resized where the image's grid is another."""
        table: Tensor = self.position_table
        if self.position_side != self.side:
            table = resize_positions(table, self.side)
        return table[None] if keep is None else F.embedding(keep, table)

    def random_values(self, batch: int, generator: torch.Generator, share: float = 1.0) -> Tensor:
        """Random pixels (B, 3, S, S); an image has no length."""
        return torch.randn(batch, 3, self.image_size, self.image_size, generator=generator)

    def default_processor(self) -> ImageProcessor:
        """Preprocessing of the released embedding interface."""
        return ImageProcessor(self.image_size)
