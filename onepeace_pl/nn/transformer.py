"""A stack of blocks with a final LayerNorm for each modality; the encoder's and the decoder's.

Shapes: B batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onepeace_pl.nn.block import Block
from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.fast.kernels import fold_padding
from onepeace_pl.nn.fast.packing import pack, unpack
from onepeace_pl.nn.fast.trimming import trim
from onepeace_pl.nn.routing import Routed
from onepeace_pl.nn.sequence import TokenSequence


class Transformer(nn.Module):
    """Blocks and final norms.

    Args:
        config: Sizes and switches.
        modalities: Names of the segments that may come.
    """

    def __init__(self, config: TransformerConfig, modalities: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        rates = (config.drop_path * i / max(config.depth - 1, 1) for i in range(config.depth))
        self.blocks = nn.ModuleList(Block(config, modalities, rate) for rate in rates)
        self.norms = Routed(modalities, lambda: nn.LayerNorm(config.width))

    def forward(self, sequences: Sequence[TokenSequence]) -> list[Tensor]:
        """Run all sequences through the stack, block by block -> one (B, L, D) for each sequence."""
        trimmed, restore = trim(sequences)
        trimmed = [fold_padding(sequence) for sequence in trimmed]
        rows, packings = pack(trimmed)
        for number, block in enumerate(self.blocks):
            biases = [[trimmed[i].bias(number) for i in packing.members] for packing in packings]
            if self.config.checkpoint and self.training and torch.is_grad_enabled():
                rows = checkpoint(block, rows, biases, packings, use_reentrant=False)
            else:
                rows = block(rows, biases, packings)
        outputs = unpack(rows, packings)
        return restore([self._norm(x, sequence) for x, sequence in zip(outputs, trimmed, strict=True)])

    def _norm(self, x: Tensor, sequence: TokenSequence) -> Tensor:
        with torch.set_grad_enabled(sequence.records):
            return self.norms(x, sequence.segments) if sequence.norm else x
