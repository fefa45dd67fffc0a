"""A stack of blocks with a final LayerNorm for each modality; the encoder's and the decoder's.

Shapes: B batch, L tokens, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onepeace_pl.nn.block import Block, PackedInput
from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.fast.kernels import choose
from onepeace_pl.nn.fast.trimming import Cut, cuts, put, take
from onepeace_pl.nn.routing import Routed, Segment

__all__ = ["PackedInput", "Segment", "Transformer"]


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

    def forward(
        self, tokens: list[Tensor], biases: Sequence[Sequence[Tensor]], sequences: Sequence[PackedInput]
    ) -> list[Tensor]:
        """Run all sequences through the stack, layer by layer.

        Args:
            tokens: One (B, L, D) for each sequence, padded rows zeroed.
            biases: For each sequence none, one shared bias (1 or B, H, L, L), or one for each layer.
            sequences: What blocks must know of them.

        Returns:
            One (B, L, D) for each sequence, after the final norms where it wants them.
        """
        found = [cuts(sequence) for sequence in sequences]
        if any(found):
            return self._cut(tokens, biases, sequences, found)
        return self._whole(tokens, biases, sequences)

    def _cut(
        self,
        tokens: Sequence[Tensor],
        biases: Sequence[Sequence[Tensor]],
        sequences: Sequence[PackedInput],
        found: Sequence[Sequence[Cut]],
    ) -> list[Tensor]:
        """Run cuts instead of what they were cut from."""
        pieces: list[tuple[Tensor, Sequence[Tensor], PackedInput]] = []
        members = []
        for x, own, sequence, parts in zip(tokens, biases, sequences, found, strict=True):
            with torch.set_grad_enabled(sequence.grad and torch.is_grad_enabled()):
                begin = len(pieces)
                pieces += [(*take(x, own, cut), cut.sequence) for cut in parts] or [(x, own, sequence)]
            members.append(range(begin, len(pieces)))
        done = self._whole([p[0] for p in pieces], [p[1] for p in pieces], [p[2] for p in pieces])
        outputs = []
        for x, sequence, parts, mine in zip(tokens, sequences, found, members, strict=True):
            with torch.set_grad_enabled(sequence.grad and torch.is_grad_enabled()):
                outputs.append(put(x, [done[i] for i in mine], parts) if parts else done[mine[0]])
        return outputs

    def _whole(
        self, tokens: list[Tensor], biases: Sequence[Sequence[Tensor]], sequences: Sequence[PackedInput]
    ) -> list[Tensor]:
        biases, sequences = _fold_padding(tokens, biases, sequences)
        for layer, block in enumerate(self.blocks):
            here = [None if not b else b[layer if len(b) > 1 else 0] for b in biases]
            if self.config.checkpoint and self.training and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, here, sequences, use_reentrant=False)
            else:
                tokens = block(tokens, here, sequences)
        outputs = []
        for x, sequence in zip(tokens, sequences, strict=True):
            with torch.set_grad_enabled(sequence.grad and torch.is_grad_enabled()):
                outputs.append(self.norms(x, sequence.segments) if sequence.norm else x)
        return outputs


def _fold_padding(
    tokens: Sequence[Tensor], biases: Sequence[Sequence[Tensor]], sequences: Sequence[PackedInput]
) -> tuple[list[Sequence[Tensor]], list[PackedInput]]:
    """Put padding into the bias where the kernel wants one mask, so that all layers share it."""
    folded: list[tuple[Sequence[Tensor], PackedInput]] = []
    for x, own, sequence in zip(tokens, biases, sequences, strict=True):
        grad = sequence.grad and torch.is_grad_enabled()
        bias_grad = grad and any(bias.requires_grad for bias in own)
        kernel = choose(x.device.type, x.dtype, bias_grad, grad, x.shape[1])
        if own and sequence.key_padding is not None and kernel == "fused":
            with torch.set_grad_enabled(grad):
                hidden = torch.zeros_like(sequence.key_padding, dtype=own[0].dtype)
                hidden = hidden.masked_fill_(sequence.key_padding, float("-inf"))[:, None, None, :]
                own, sequence = [bias + hidden for bias in own], replace(sequence, key_padding=None)
        folded.append((own, sequence))
    return [own for own, _ in folded], [sequence for _, sequence in folded]
