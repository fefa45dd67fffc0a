"""MaxSim of items with different numbers of tokens, and recall by it."""

import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.errors import UserError
from onepeace_pl.metrics import RetrievalMetric
from onepeace_pl.nn.late_interaction import maxsim, pad_tokens

LENGTHS = (3, 1, 4)


def items(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(n, 8, generator=generator) - 0.3, dim=1) for n in LENGTHS]


def test_padding_takes_no_part() -> None:
    queries, candidates = items(0), [-item for item in items(0)]
    found = maxsim(pad_tokens(queries), pad_tokens(candidates))
    assert (found < 0).any()  # where a padded token would win
    for i, query in enumerate(queries):
        for j, candidate in enumerate(candidates):
            expected = (query @ candidate.T).amax(1).mean()
            torch.testing.assert_close(found[i, j], expected)


def test_recall_by_tokens_where_pooled_vectors_are_equal() -> None:
    eye = torch.eye(4)
    first = [eye[[0, 1]], eye[[2, 3]], eye[[0, 2]], eye[[1, 3]]]
    order = [tokens.flip(0) for tokens in first]
    metric = RetrievalMetric(("image",), ("text",), similarity=maxsim, chunk=3)
    metric.update(pad_tokens(first), pad_tokens(order), list("abcd"), torch.arange(4))
    assert all(direction.recall[1] == 1 for direction in metric.compute().directions.values())


def test_items_without_tokens_are_refused() -> None:
    with pytest.raises(UserError, match=r"at least one vector"):
        pad_tokens([torch.zeros(0, 8)])
    with pytest.raises(UserError, match=r"\(2, 4\), \(2, 8\)"):
        pad_tokens([torch.zeros(2, 8), torch.zeros(2, 4)])
