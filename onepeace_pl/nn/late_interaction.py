"""Late interaction (MaxSim): similarity of items that have one vector for each token.

Shapes: Q queries, C candidates, L tokens of an item, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from onepeace_pl.errors import UserError


def pad_tokens(items: Sequence[Tensor]) -> Tensor:
    """Stack token vectors (L, D) of each item to (N, L, D); shorter items end in zeros.

    Raises:
        UserError: Vectors differ in D, or an item has none.
    """
    shapes = {tuple(item.shape[1:]) for item in items}
    if len(shapes) > 1 or any(item.ndim != 2 or not len(item) for item in items):
        raise UserError(
            "each item needs at least one vector, all of the same length; "
            f"the items are {', '.join(sorted({str(tuple(item.shape)) for item in items})[:5])}"
        )
    return pad_sequence([item.float() for item in items], batch_first=True)


def maxsim(queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the scores (Q, C): the mean over a query's tokens of the greatest similarity to a candidate's token.

    Args:
        queries: (Q, L, D) unit vectors, zeros where an item has fewer tokens.
        candidates: (C, L, D), the same.

    Source: ColBERT (arXiv 2004.12832), which sums instead; a query ranks candidates alike.
    """
    absent = ~candidates.any(-1)
    counts = queries.any(-1).sum(1)
    rows = []
    for query in queries:  # (L, C, L) similarities at a time
        similar = torch.einsum("ld,cmd->lcm", query, candidates)
        rows.append(similar.masked_fill(absent, -torch.inf).amax(-1).sum(0))
    total = torch.stack(rows) if rows else queries.new_zeros(0, len(candidates))
    return total / counts[:, None]
