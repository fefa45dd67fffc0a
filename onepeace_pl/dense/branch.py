"""ViT features for dense prediction: images of any size, window and global attention, intermediate blocks.

The encoder's ``forward`` takes images of one size. Dense tasks need larger ones of any aspect ratio, features of
several blocks, and window attention with some blocks of global attention (ViTDet, arXiv 2203.16527;
docs/reference/tasks.md). The weights are the encoder's own.

Shapes: B batch, h x w grid of patches, L tokens, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.backbone.parallel import check_whole
from onepeace_pl.dense.windows import Windows
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ImageAdapter
from onepeace_pl.nn import GridBuckets, Segment, TokenSequence, TransformerConfig
from onepeace_pl.nn.decomposed_bias import DecomposedBias
from onepeace_pl.nn.fast.packing import pack, unpack
from onepeace_pl.nn.interpolation import relative_table_of, resize_positions
from onepeace_pl.nn.relative_bias import look_up
from onepeace_pl.nn.sequence import Bias

CACHED_GRIDS = 4
"""Size of the cache of relative-position indices, by grid: those of images of many sizes would fill a GPU."""


def stage_ends(depth: int) -> list[int]:
    """Return the number of blocks up to the end of each of four stages; of shallow encoders, some are empty."""
    return [-(-depth * part // 4) for part in (1, 2, 3, 4)]


@dataclass(frozen=True)
class Patches:
    """Patch tokens between two blocks.

    Attributes:
        tokens: (B, L, D): the CLS token, if any, then the patches row by row.
        grid: h and w.
        cls_token: Whether the first token is the CLS token.
    """

    tokens: Tensor
    grid: tuple[int, int]
    cls_token: bool

    @property
    def feature_map(self) -> Tensor:
        """The patches as a feature map (B, D, h, w)."""
        patches = self.tokens[:, 1:] if self.cls_token else self.tokens
        return patches.transpose(1, 2).reshape(len(patches), -1, *self.grid)


class DenseBranch(nn.Module):
    """Image branch of the encoder, for images of any size.

    Args:
        config: Config of the encoder.
        window_size: Side of attention windows, in patches; 0 for global attention.
        global_blocks: Indices of blocks with global attention.
        rel_pos_size: Side of the grid of decomposed relative positions (one table for rows and one for columns,
            multiplied by queries), in patches; 0 for none. They are initialised to zero.
        cls_token: Include the CLS token; window attention excludes it.
        modality: Name of the image adapter.
        num_blocks: Number of blocks to run at most; None for all.

    Attributes:
        depth: Number of blocks of the encoder, for layer-wise learning-rate decay: the branch's own parameters
            have the rate of their block.

    Raises:
        UserError: Windows with a CLS token, or a block that does not exist.
    """

    def __init__(
        self,
        config: TransformerConfig,
        window_size: int = 0,
        global_blocks: Iterable[int] = (),
        rel_pos_size: int = 0,
        cls_token: bool = True,
        modality: str = "image",
        num_blocks: int | None = None,
    ) -> None:
        super().__init__()
        self.depth = config.depth
        self.num_blocks = config.depth if num_blocks is None else num_blocks
        self.global_blocks = frozenset(global_blocks)
        if window_size and cls_token:
            raise UserError("windows exclude the CLS token: set cls_token to false")
        missing = sorted(self.global_blocks - set(range(config.depth)))
        if missing:
            raise UserError(f"global_blocks: there is no block {missing[0]}; the encoder has {config.depth}")
        self.window_size, self.cls_token, self.modality = window_size, cls_token, modality
        size = config.width // config.heads
        self.decomposed = nn.ModuleList(
            DecomposedBias(
                size, window_size if window_size and number not in self.global_blocks else rel_pos_size
            )
            for number in range(config.depth if rel_pos_size else 0)
        )
        self._indices: dict[tuple[tuple[int, int], torch.device], Tensor] = {}

    def layer_of(self, name: str) -> int:
        """Layer of one of the branch's own parameters: its block."""
        return int(name.split(".")[1]) + 1

    def freeze_unused(self, encoder: Encoder) -> None:
        """Freeze parameters of the encoder that this branch does not use: they would get no gradient."""
        adapter = self._adapter(encoder)
        if not self.cls_token:
            adapter.cls_token.requires_grad_(False)
        encoder.transformer.blocks[self.num_blocks :].requires_grad_(False)
        if adapter.bias is not None and len(adapter.bias.tables) > 1:
            for table in adapter.bias.tables[self.num_blocks :]:
                table.requires_grad_(False)

    def embed(self, encoder: Encoder, images: Tensor) -> Patches:
        """Embed images (B, 3, 16 h, 16 w): patches plus positions, interpolated to the grid.

        Raises:
            UserError: A side is no multiple of 16, the adapter is no image adapter, or the encoder is sharded.
        """
        check_whole(encoder, "dense tasks")
        adapter = self._adapter(encoder)
        height, width = images.shape[-2:]
        if height % 16 or width % 16:
            raise UserError(f"images of {height} x {width} pixels: sides must be multiples of 16; pad them")
        patches = adapter.patches(images.to(adapter.position_table.dtype))
        grid = (patches.shape[-2], patches.shape[-1])
        x = patches.flatten(2).transpose(1, 2)
        positions = resize_positions(adapter.position_table, grid)
        if self.cls_token:
            x = torch.cat([adapter.cls_token.to(x.dtype).expand(len(x), 1, -1), x], 1)
        x = adapter.norm(x) + positions[0 if self.cls_token else 1 :]
        return Patches(adapter.dropout(x), grid, self.cls_token)

    def forward(self, encoder: Encoder, patches: Patches, first: int, stop: int) -> Patches:
        """Run blocks ``first`` to ``stop - 1``."""
        blocks = encoder.transformer.blocks
        x, windows = patches.tokens, Windows(patches.grid, self.window_size)
        biases: dict[tuple[int, int], Tensor] = {}  # blocks that share a table share its biases
        for number in range(first, stop):
            windowed = bool(self.window_size) and number not in self.global_blocks
            grid = (self.window_size, self.window_size) if windowed else patches.grid
            bias = self._bias(encoder, number, grid, biases)
            padding = windows.padding(len(x), x.device) if windowed else None
            x = windows.partition(x) if windowed else x
            segment = Segment(self.modality, 0, grid[0] * grid[1] + self.cls_token)
            group = windows.num_windows if windowed else 1
            rows, packings = pack([TokenSequence(x, (segment,), key_padding=padding, group=group)])
            if number == 0:
                encoder.transformer.choose_checkpointing(rows)
            (x,) = unpack(blocks[number](rows, [[bias]], packings), packings)
            if windowed:
                x = windows.unpartition(x)
        return replace(patches, tokens=x)

    def features(self, encoder: Encoder, images: Tensor, blocks: Iterable[int]) -> list[Tensor]:
        """Return feature maps (B, D, h, w) of the outputs of some blocks, by ascending indices.

        Blocks after the last one are not run.
        """
        patches, maps, first = self.embed(encoder, images), [], 0
        for number in blocks:
            patches = self(encoder, patches, first, number + 1)
            maps.append(patches.feature_map)
            first = number + 1
        return maps

    def _adapter(self, encoder: Encoder) -> ImageAdapter:
        adapter = encoder.adapter(self.modality)
        if not isinstance(adapter, ImageAdapter):
            raise UserError(
                f"{self.modality}: dense features need an ImageAdapter, not {type(adapter).__name__}"
            )
        return adapter

    def _bias(
        self,
        encoder: Encoder,
        number: int,
        grid: tuple[int, int],
        biases: dict[tuple[int, int], Tensor],
    ) -> Bias:
        relative = self._adapter(encoder).bias
        tables = [] if relative is None else list(relative.tables)
        if len(tables) == 1 and grid not in biases:
            biases[grid] = self._grid_bias(tables[0], grid)
        rel_pos = self.decomposed[number] if self.decomposed else None
        if rel_pos is None and len(tables) < 2:
            return biases.get(grid)

        def bias_of_queries(qkv: Tensor) -> Tensor | None:
            # a block's own table is gathered within the block: 40 biases of a large image at a time would not fit
            # into memory
            shared = self._grid_bias(tables[number], grid) if len(tables) > 1 else biases.get(grid)
            if rel_pos is None:
                return shared
            own: Tensor = rel_pos(qkv[:, :, 0], grid)
            return own if shared is None else own + shared

        return bias_of_queries

    def _grid_bias(self, table: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the relative-position bias (1, H, L, L) of a table on a grid."""
        return look_up(relative_table_of(table, grid), self._index(grid, table.device))[None]

    def _index(self, grid: tuple[int, int], device: torch.device) -> Tensor:
        if (grid, device) not in self._indices:
            while len(self._indices) >= CACHED_GRIDS:
                del self._indices[next(iter(self._indices))]
            index = GridBuckets(*grid).index(grid[0] * grid[1] + 1)
            self._indices[grid, device] = (index if self.cls_token else index[1:, 1:].contiguous()).to(device)
        return self._indices[grid, device]
