"""The transformer: blocks, and a final LayerNorm for each modality; the encoder's and the decoder's.

Shapes: B batch, L tokens, N rows, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn

from onepeace_pl.nn.attention import SelfAttention
from onepeace_pl.nn.checkpointing import Mode, checkpointed, choose_mode, free_bytes
from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.fast.packing import Packing, pack, unpack
from onepeace_pl.nn.fast.trimming import trim
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.residual import DropPath, LayerScale
from onepeace_pl.nn.sequence import Bias, Routed, TokenSequence


class Block(nn.Module):
    """Pre-norm attention shared by the modalities, then a gated feed-forward of each (paper, section 3.1).

    ``onepeace_pl/nn/plain.py`` has the same in plain PyTorch, one sequence at a time.

    Args:
        config: Sizes and switches.
        modalities: Names of the segments that may come.
        drop_path: Probability of dropping each of the two branches.
    """

    def __init__(self, config: TransformerConfig, modalities: Sequence[str], drop_path: float) -> None:
        super().__init__()
        width, scale = config.width, config.layer_scale
        self.drop_path, self.subset = drop_path, config.drop_path_mode == "subset"
        self.attention_norm = Routed(modalities, lambda: nn.LayerNorm(width), config.share_attention)
        self.attention = SelfAttention(config, modalities)
        self.attention_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = Routed(modalities, lambda: GatedFeedForward(config), config.share_feed_forward)
        self.feed_forward_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        chosen = config.activation_checkpointing
        self.checkpointing: Mode = "none" if chosen == "auto" else chosen
        self.compiler: str | None = None  # a backend of torch.compile

    def forward(
        self, rows: Sequence[Tensor], biases: Sequence[Sequence[Bias]], packings: Sequence[Packing]
    ) -> list[Tensor]:
        """Run all passes of a step in one call, so that sharding gathers the weights once.

        Args:
            rows: Packed tokens (N, D): of the sequences with gradient, of those without.
            biases: For each of them the attention bias of each sequence.
            packings: For each of them which rows belong to which sequence.

        Returns:
            One (N, D) for each of ``rows``.
        """
        if self.compiler is not None and self.training:
            return _compiled(self.compiler)(self, rows, biases, packings)
        return self.run(rows, biases, packings)

    def run(
        self, rows: Sequence[Tensor], biases: Sequence[Sequence[Bias]], packings: Sequence[Packing]
    ) -> list[Tensor]:
        """Run :meth:`forward` without a compiler."""
        outputs = []
        mode = self.checkpointing if self.training else "none"
        for x, own, packing in zip(rows, biases, packings, strict=True):
            with torch.set_grad_enabled(packing.grad):
                if mode == "none" or not packing.grad:
                    outputs.append(self._both_branches(x, packing, own))
                else:
                    outputs.append(checkpointed(mode, self._both_branches, x, packing, own))
        return outputs

    def _both_branches(self, x: Tensor, packing: Packing, biases: Sequence[Bias]) -> Tensor:
        residual = DropPath(self.drop_path if self.training else 0.0, self.subset)
        x = residual(self._attend, self.attention_scale, x, packing, biases)
        return residual(self._feed_forward, self.feed_forward_scale, x, packing, biases)

    def _attend(self, x: Tensor, packing: Packing, biases: Sequence[Bias]) -> Tensor:
        out: Tensor = self.dropout(self.attention(self.attention_norm(x, packing.segments), packing, biases))
        return out

    def _feed_forward(self, x: Tensor, packing: Packing, biases: Sequence[Bias]) -> Tensor:
        out: Tensor = self.dropout(self.feed_forward(self.feed_forward_norm(x), packing.segments))
        return out


@cache
def _compiled(backend: str) -> Callable[..., list[Tensor]]:
    """Blocks compiled as one graph each.

    A function of the block, not its own method: hooks of sharding stay outside of the graph, and a copied block runs
    its own weights.
    """
    return torch.compile(Block.run, backend=backend, fullgraph=True)


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
        self._undecided = config.activation_checkpointing == "auto"

    def forward(self, sequences: Sequence[TokenSequence]) -> list[Tensor]:
        """Run all sequences through the stack, block by block -> one (B, L, D) for each sequence."""
        trimmed, restore = trim(sequences)
        rows, packings = pack(trimmed)
        self.choose_checkpointing([x for x, packing in zip(rows, packings, strict=True) if packing.grad])
        for number, block in enumerate(self.blocks):
            biases = [[trimmed[i].bias(number) for i in packing.members] for packing in packings]
            rows = block(rows, biases, packings)
        outputs = unpack(rows, packings)
        return restore([self._norm(x, sequence) for x, sequence in zip(outputs, trimmed, strict=True)])

    def choose_checkpointing(self, rows: Sequence[Tensor]) -> None:
        """Settle the blocks' activation checkpointing where it is ``auto``, by the rows (N, D) of a training step."""
        if not (self._undecided and self.training and torch.is_grad_enabled() and rows):
            return
        self._undecided = False
        device = rows[0].device
        narrow = torch.is_autocast_enabled(device.type)
        itemsize = torch.get_autocast_dtype(device.type).itemsize if narrow else rows[0].element_size()
        count = sum(x.shape[0] for x in rows)
        mode = choose_mode(self.config, count, itemsize, free_bytes(self, device))
        for block in self.blocks:
            assert isinstance(block, Block)
            block.checkpointing = mode

    def _norm(self, x: Tensor, sequence: TokenSequence) -> Tensor:
        with torch.set_grad_enabled(sequence.records):
            return self.norms(x, sequence.segments) if sequence.norm else x
