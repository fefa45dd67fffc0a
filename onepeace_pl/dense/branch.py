"""Patch features of pictures of any size, by the backbone's own blocks (spec: tasks, sections 13 and 14).

The encoder's ``forward`` reads pictures of one size, all at once. Dense tasks want larger ones, of any shape, what
several blocks say of them, and attention within windows. The weights are the same.

Shapes: B batch, h and w patches from top to bottom and from left to right, L tokens, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.backbone.parallel import check_whole
from onepeace_pl.dense.windows import Windows
from onepeace_pl.modalities import ImageAdapter
from onepeace_pl.nn import GridBuckets, PackedInput, Segment, TransformerConfig
from onepeace_pl.nn.attention import Bias
from onepeace_pl.nn.decomposed_bias import DecomposedBias
from onepeace_pl.nn.interpolation import relative_table_of, resize_positions
from onepeace_pl.nn.relative_bias import look_up

GRIDS = 4
"""Grids whose indices are kept: those of pictures of many sizes would fill a GPU."""


def quarters(depth: int) -> list[int]:
    """Return how many blocks there are up to the end of each quarter of them; of few, some are empty."""
    return [-(-depth * part // 4) for part in (1, 2, 3, 4)]


@dataclass(frozen=True)
class Patches:
    """Tokens of pictures on their way through the blocks.

    Attributes:
        tokens: (B, L, D): the patches row by row, behind the summary where there is one.
        grid: h and w.
        summary: Whether the first token is the summary.
    """

    tokens: Tensor
    grid: tuple[int, int]
    summary: bool

    @property
    def image(self) -> Tensor:
        """The patches as maps (B, D, h, w)."""
        patches = self.tokens[:, 1:] if self.summary else self.tokens
        return patches.transpose(1, 2).reshape(len(patches), -1, *self.grid)


class DenseBranch(nn.Module):
    """Runs the picture branch of an encoder on pictures of any size.

    Args:
        config: Of the encoder.
        window: Side of the windows that attention looks at, in patches; 0 looks everywhere.
        global_blocks: Numbers of the blocks that look everywhere all the same.
        decomposed: Patches along a side for which queries weigh relative positions, row and column apart; 0 for
            none. They start at zero.
        summary: Whether the summary is among the tokens; windows have no place for it.
        modality: Name of the picture adapter.
        stop: Number of blocks that are run at most; None for all.

    Attributes:
        depth: Number of blocks of the encoder; the branch's own parameters learn at the rate of their block.

    Raises:
        ValueError: Windows with a summary, or a block that is not there.
    """

    def __init__(
        self,
        config: TransformerConfig,
        window: int = 0,
        global_blocks: Iterable[int] = (),
        decomposed: int = 0,
        summary: bool = True,
        modality: str = "image",
        stop: int | None = None,
    ) -> None:
        super().__init__()
        self.depth, self.stop = config.depth, config.depth if stop is None else stop
        self.global_blocks = frozenset(global_blocks)
        if window and summary:
            raise ValueError("windows have no place for the summary: set summary to false")
        missing = sorted(self.global_blocks - set(range(config.depth)))
        if missing:
            raise ValueError(f"global_blocks: there is no block {missing[0]}; the encoder has {config.depth}")
        self.window, self.summary, self.modality = window, summary, modality
        size = config.width // config.heads
        self.decomposed = nn.ModuleList(
            DecomposedBias(size, window if window and number not in self.global_blocks else decomposed)
            for number in range(config.depth if decomposed else 0)
        )
        self._places: dict[tuple[tuple[int, int], torch.device], Tensor] = {}

    def layer_of(self, name: str) -> int:
        """Layer of one of the branch's own parameters, that of the block which it belongs to."""
        return int(name.split(".")[1]) + 1

    def freeze_unread(self, encoder: Encoder) -> None:
        """Freeze what of the picture's side no pass through this branch reaches: it would get no gradient."""
        adapter = self._adapter(encoder)
        if not self.summary:
            adapter.summary.requires_grad_(False)
        encoder.transformer.blocks[self.stop :].requires_grad_(False)
        if adapter.bias is not None and len(adapter.bias.tables) > 1:
            for table in adapter.bias.tables[self.stop :]:
                table.requires_grad_(False)

    def start(self, encoder: Encoder, pictures: Tensor) -> Patches:
        """Make tokens of pictures (B, 3, 16 h, 16 w): contents and positions, resized to their grid.

        Raises:
            ValueError: A side is no multiple of 16, the adapter reads no pictures, or the encoder is sharded.
        """
        check_whole(encoder, "dense tasks")
        adapter = self._adapter(encoder)
        if pictures.shape[-2] % 16 or pictures.shape[-1] % 16:
            raise ValueError(
                f"pictures of {pictures.shape[-2]} x {pictures.shape[-1]} pixels: sides must be multiples of 16; "
                "pad them"
            )
        image = adapter.patches(pictures.to(adapter.position_table.dtype))
        grid = (image.shape[-2], image.shape[-1])
        x = image.flatten(2).transpose(1, 2)
        positions = resize_positions(adapter.position_table, grid)
        if self.summary:
            x = torch.cat([adapter.summary.to(x.dtype).expand(len(x), 1, -1), x], 1)
        x = adapter.norm(x) + positions[0 if self.summary else 1 :]
        return Patches(adapter.dropout(x), grid, self.summary)

    def forward(self, encoder: Encoder, patches: Patches, first: int, stop: int) -> Patches:
        """Run blocks ``first`` to ``stop - 1``."""
        blocks = encoder.transformer.blocks
        again = encoder.transformer.config.checkpoint and self.training and torch.is_grad_enabled()
        x, windows = patches.tokens, Windows(patches.grid, self.window)
        known: dict[tuple[int, int], Tensor] = {}  # blocks with the same table share what is looked up
        for number in range(first, stop):
            windowed = bool(self.window) and number not in self.global_blocks
            grid = (self.window, self.window) if windowed else patches.grid
            bias = self._bias(encoder, number, grid, known)
            segment = (Segment(self.modality, 0, grid[0] * grid[1] + self.summary),)
            sequence = PackedInput(segment)
            if windowed:
                sequence = replace(
                    sequence, key_padding=windows.padding(len(x), x.device), group=windows.number
                )
                x = windows.cut(x)
            given = ([x], [bias], [sequence])
            (x,) = (
                checkpoint(blocks[number], *given, use_reentrant=False) if again else blocks[number](*given)
            )
            if windowed:
                x = windows.join(x)
        return replace(patches, tokens=x)

    def features(self, encoder: Encoder, pictures: Tensor, blocks: Iterable[int]) -> list[Tensor]:
        """Return what the blocks of these numbers say, as maps (B, D, h, w), the last of them first to be known.

        Blocks behind the last are not run.
        """
        patches, found, first = self.start(encoder, pictures), [], 0
        for number in blocks:
            patches = self(encoder, patches, first, number + 1)
            found.append(patches.image)
            first = number + 1
        return found

    def _adapter(self, encoder: Encoder) -> ImageAdapter:
        adapter = encoder.adapter(self.modality)
        if not isinstance(adapter, ImageAdapter):
            raise ValueError(
                f"{self.modality}: dense features need an ImageAdapter, not {type(adapter).__name__}"
            )
        return adapter

    def _bias(
        self,
        encoder: Encoder,
        number: int,
        grid: tuple[int, int],
        known: dict[tuple[int, int], Tensor],
    ) -> Bias:
        relative = self._adapter(encoder).bias
        tables = [] if relative is None else list(relative.tables)
        if len(tables) == 1 and grid not in known:
            known[grid] = self._looked_up(tables[0], grid)
        weigh = self.decomposed[number] if self.decomposed else None
        if weigh is None and len(tables) < 2:
            return known.get(grid)

        def of_queries(qkv: Tensor) -> Tensor | None:
            # a table of the block's own is looked up here, within the block: 40 biases of a large picture at a
            # time would not fit into memory
            shared = self._looked_up(tables[number], grid) if len(tables) > 1 else known.get(grid)
            if weigh is None:
                return shared
            own: Tensor = weigh(qkv[:, :, 0], grid)
            return own if shared is None else own + shared

        return of_queries

    def _looked_up(self, table: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the bias (1, H, L, L) of a table on a grid."""
        return look_up(relative_table_of(table, grid), self._index(grid, table.device))[None]

    def _index(self, grid: tuple[int, int], device: torch.device) -> Tensor:
        if (grid, device) not in self._places:
            while len(self._places) >= GRIDS:
                del self._places[next(iter(self._places))]
            index = GridBuckets(*grid).index(grid[0] * grid[1] + 1)
            self._places[grid, device] = (index if self.summary else index[1:, 1:].contiguous()).to(device)
        return self._places[grid, device]
