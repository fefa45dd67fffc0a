"""Truncation of embeddings, and the lengths that were trained for it (Matryoshka representation learning).

Shapes: D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.errors import UserError


def truncate(vectors: Tensor, dim: int) -> Tensor:
    """Return the first ``dim`` of the D values as unit vectors (..., dim); the vectors themselves where D is ``dim``.

    Raises:
        UserError: ``dim`` is below 1 or above D.
    """
    width = vectors.shape[-1]
    if not 1 <= dim <= width:
        raise UserError(f"vectors of {width} values cannot be cut to {dim}; choose 1 to {width}")
    return vectors if dim == width else F.normalize(vectors[..., :dim], dim=-1)


def check_matryoshka_dims(dims: Sequence[int], width: int) -> None:
    """Reject lengths that vectors of a width cannot be trained at together.

    Args:
        dims: Lengths in any order; empty for none.
        width: Width D of the vectors.

    Raises:
        UserError: A length is below 1, above the width or named twice, or the width is not among them.
    """
    named = f"matryoshka_dims={list(dims)}"
    if not all(1 <= dim <= width for dim in dims):
        raise UserError(f"{named}: the model's vectors have {width} values; choose lengths from 1 to {width}")
    if len(set(dims)) < len(dims):
        raise UserError(f"{named} names a length twice")
    if dims and width not in dims:
        raise UserError(f"{named} leaves out the full length; add {width}")
