"""One transformer block, run for several sequences at once.

Shapes: B batch, L tokens, N rows, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onepeace_pl.nn.attention import Bias, SelfAttention
from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.drop_path import keep_factor, kept_samples
from onepeace_pl.nn.fast.packing import Packing
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.routing import Routed, Segment

# bytes of a matrix: from 32 MiB on, the C library asks the system for fresh memory each time, which costs more on
# every pass over it than large products save
BUNDLE = 31 * 2**20


@dataclass(frozen=True)
class PackedInput:
    """What a block must know of one sequence besides its tokens.

    Attributes:
        segments: The modalities' stretches, in order.
        key_padding: (B, L) bool, True where attention must not look; None where it may look everywhere.
        grad: Whether this sequence is differentiated; a teacher's is not.
        norm: Whether final norms follow the last block.
        group: Consecutive rows that belong to one sample, such as the windows of a picture; B is a multiple of it.
    """

    segments: tuple[Segment, ...]
    key_padding: Tensor | None = None
    grad: bool = True
    norm: bool = True
    group: int = 1


class LayerScale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.start = start
        self.gamma = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.constant_(self.gamma, self.start)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return x * self.gamma

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return ``x`` plus the scaled branch, both (..., D)."""
        return torch.addcmul(x, branch, self.gamma)


def add_scaled(x: Tensor, branch: Tensor, scale: nn.Module) -> Tensor:
    """Return ``x`` plus a branch, both (..., D), by a block's scale, which may be none (``nn.Identity``)."""
    return scale.add(x, branch) if isinstance(scale, LayerScale) else x + branch


class Block(nn.Module):
    """Attention shared by the modalities, then a feed-forward of each modality (docs/reference/model.md, section 4).

    All sequences of a step pass a block in one call, and its linear layers and norms see their tokens as one
    matrix (with gradient, and without, are two; on CPU very large ones are more). Weights are so fetched once,
    their gradients made in one product, and under sharding the communication is divided by the number of sequences.

    Args:
        config: Sizes and switches.
        modalities: Names of the segments that may come.
        drop_path: Probability of dropping each of the two branches.
    """

    def __init__(self, config: TransformerConfig, modalities: Sequence[str], drop_path: float) -> None:
        super().__init__()
        width, scale = config.width, config.layer_scale
        self.widest = max(config.feed_forward, 3 * width)
        self.drop_path, self.subset = drop_path, config.drop_path_mode == "subset"
        self.attention_norm = Routed(modalities, lambda: nn.LayerNorm(width), config.share_attention)
        self.attention = SelfAttention(config, modalities)
        self.attention_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = Routed(modalities, lambda: GatedFeedForward(config), config.share_feed_forward)
        self.feed_forward_scale = LayerScale(width, scale) if scale else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, tokens: list[Tensor], biases: list[Bias], sequences: Sequence[PackedInput]
    ) -> list[Tensor]:
        """Map each (B, L, D) of ``tokens`` with its bias: (1 or B, H, L, L), made from queries, or None."""
        outputs = list(tokens)
        for grad in (True, False):
            chosen = [i for i, s in enumerate(sequences) if (s.grad and torch.is_grad_enabled()) == grad]
            for few in self._bundles(tokens, chosen):
                with torch.set_grad_enabled(grad):
                    done = self._together(
                        [tokens[i] for i in few], [biases[i] for i in few], [sequences[i] for i in few]
                    )
                for i, x in zip(few, done, strict=True):
                    outputs[i] = x
        return outputs

    def _bundles(self, tokens: list[Tensor], chosen: list[int]) -> list[list[int]]:
        """Say which sequences go together: all, but on CPU no more than make matrices that fit ``BUNDLE``."""
        if not chosen or tokens[0].device.type != "cpu":
            return [chosen] if chosen else []
        sizes = {i: tokens[i].shape[:2].numel() * self.widest * tokens[i].element_size() for i in chosen}
        bundles: list[list[int]] = []
        room = 0
        for i in sorted(chosen, key=sizes.__getitem__):
            if not bundles or sizes[i] > room:
                bundles.append([])
                room = BUNDLE
            bundles[-1].append(i)
            room -= sizes[i]
        return bundles

    def _together(self, xs: list[Tensor], biases: list[Bias], sequences: list[PackedInput]) -> list[Tensor]:
        paddings = [s.key_padding for s in sequences]
        rate = self.drop_path if self.training else 0.0
        if rate and self.subset:
            return self._subset(xs, biases, sequences)
        packing = Packing([len(x) for x in xs], [s.segments for s in sequences])
        x = packing.pack(xs)
        for branch, scale in (
            (self._attend(packing, biases, paddings), self.attention_scale),
            (self._feed(packing), self.feed_forward_scale),
        ):
            out = self.dropout(branch(x))
            if rate:
                out = out * packing.pack(
                    [keep_factor(x, rate, s.group) for x, s in zip(xs, sequences, strict=True)]
                )
            x = add_scaled(x, out, scale)
        return packing.unpack(x)

    def _subset(self, xs: list[Tensor], biases: list[Bias], sequences: list[PackedInput]) -> list[Tensor]:
        for attention in (True, False):
            kept = [kept_samples(x, self.drop_path, s.group) for x, s in zip(xs, sequences, strict=True)]
            few = [x[rows] for x, rows in zip(xs, kept, strict=True)]
            packing = Packing([len(x) for x in few], [s.segments for s in sequences])
            if attention:
                mine = [
                    b[r] if isinstance(b, Tensor) and len(b) > 1 else b
                    for b, r in zip(biases, kept, strict=True)
                ]
                hidden = [
                    None if s.key_padding is None else s.key_padding[r]
                    for s, r in zip(sequences, kept, strict=True)
                ]
                out = self._attend(packing, mine, hidden)(packing.pack(few))
            else:
                out = self._feed(packing)(packing.pack(few))
            scale = self.attention_scale if attention else self.feed_forward_scale
            outs = packing.unpack(scale(self.dropout(out)))
            xs = [
                x.index_add(0, rows, out.to(x.dtype), alpha=len(x) / len(rows))
                for x, rows, out in zip(xs, kept, outs, strict=True)
            ]
        return xs

    def _attend(
        self, packing: Packing, biases: list[Bias], paddings: list[Tensor | None]
    ) -> Callable[[Tensor], Tensor]:
        return lambda x: self.attention(self.attention_norm(x, packing.segments), packing, biases, paddings)

    def _feed(self, packing: Packing) -> Callable[[Tensor], Tensor]:
        return lambda x: self.feed_forward(self.feed_forward_norm(x), packing.segments)
