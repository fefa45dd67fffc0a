"""Token sequences, the input of a transformer, and modules that each segment of them goes through by its modality.

Shapes: B batch, L tokens, N rows, D width, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

Bias = Tensor | Callable[[Tensor], Tensor | None] | None
"""(1 or B, H, L, L), or what makes it of queries, keys and values (B, L, 3, H, K) as projected, or none."""


class Segment(NamedTuple):
    """A stretch ``start:stop`` of a sequence, or of rows of a matrix, that belongs to one modality."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class TokenSequence:
    """A batch of token sequences of equal length, over one modality or several.

    Attributes:
        tokens: (B, L, D), padded ones zeroed.
        segments: The stretch of each modality, in order.
        biases: Attention biases (1 or B, H, L, L): none, one for all blocks, or one for each block.
        key_padding: (B, L) bool, True where attention must not look; None where it may look at all tokens.
        grad: Whether gradients are computed; a teacher has none.
        norm: Whether the final LayerNorms follow the last block.
        group: Consecutive rows of the batch that belong to one sample, such as the windows of an image; B is a
            multiple of it.
    """

    tokens: Tensor
    segments: tuple[Segment, ...]
    biases: Sequence[Tensor] = ()
    key_padding: Tensor | None = None
    grad: bool = True
    norm: bool = True
    group: int = 1

    @property
    def records(self) -> bool:
        """Whether autograd records what is computed of this sequence."""
        return self.grad and torch.is_grad_enabled()

    def bias(self, block: int) -> Tensor | None:
        """Attention bias of one block."""
        if not self.biases:
            return None
        return self.biases[block if len(self.biases) > 1 else 0]


SHARED = "shared"


class Routed(nn.ModuleDict):
    """Modules by modality; each segment of the rows goes through its own, or all rows through a shared one.

    Args:
        names: Modalities.
        make: Makes one module, Tensor (..., N, ·) -> Tensor (..., N, ·).
        shared: One module for all names.
    """

    def __init__(self, names: Iterable[str], make: Callable[[], nn.Module], shared: bool = False) -> None:
        super().__init__({name: make() for name in ([SHARED] if shared else names)})

    def forward(self, x: Tensor, segments: Sequence[Segment]) -> Tensor:
        """Map rows (N, ·), or (B, L, ·), segment by segment; one segment alone is neither cut nor joined."""
        if SHARED in self:
            out: Tensor = self[SHARED](x)
            return out
        if len(segments) == 1:
            out = self[segments[0].name](x)
        else:
            parts = torch.split(x, [s.stop - s.start for s in segments], dim=-2)
            out = torch.cat([self[s.name](part) for s, part in zip(segments, parts, strict=True)], dim=-2)
        read = {s.name for s in segments}
        return with_zero_grad(out, (module for name, module in self.items() if name not in read))


def with_zero_grad(x: Tensor, unused: Iterable[nn.Module]) -> Tensor:
    """Return ``x`` plus zero times the trainable parameters of modules that this rank's batch does not use.

    Ranks average gradients parameter by parameter: where one has images and another audio, both need a gradient of
    both, or they wait for each other for ever. A single rank leaves ``x`` as it is.
    """
    if not (torch.is_grad_enabled() and dist.is_available() and dist.is_initialized()):
        return x
    if dist.get_world_size() == 1:
        return x
    for module in unused:
        for parameter in module.parameters():
            if parameter.requires_grad:
                x = x + (parameter.flatten()[:1] * 0.0).sum().to(x.dtype)
    return x
