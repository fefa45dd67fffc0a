"""Fusion of several modalities into one vector.

Shapes: B batch, D width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError

Fuse = Literal["sum", "joint"]
"""``sum``: the normalised sum of the modalities' own unit vectors; ``joint``: one joint pass."""

MeasuredFuse = Fuse | Literal["default"]
"""Vector that an evaluation measures; ``default``: the one that the model gives for these modalities."""


def check_fuse(fuse: str) -> None:
    """Reject what is no :data:`Fuse`.

    Raises:
        UserError: There is no such fusion.
    """
    if fuse not in get_args(Fuse):
        raise UserError(f"fuse={fuse!r}: choose one of {', '.join(get_args(Fuse))}")


def normalised_sum(vectors: Iterable[Tensor]) -> Tensor:
    """Return the normalised sum (B, D) of unit vectors, each (B, D)."""
    return nn.functional.normalize(torch.stack(list(vectors)).sum(0), dim=-1)
