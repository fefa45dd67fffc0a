"""Buckets of positions and the bias tables over them (docs/reference/model.md)."""

import pytest
import torch

from onepeace_pl.nn import GridBuckets, RelativeBias, SequenceBuckets

TEXT = {128: 128, 129: 129, 130: 129, 131: 130, 140: 134, 200: 156, 256: 171, 512: 213, 1023: 255}
AUDIO = {256: 256, 257: 257, 300: 286, 512: 384, 749: 454, 999: 507, 1023: 511}


@pytest.mark.parametrize(("buckets", "known"), [(256, TEXT), (512, AUDIO)])
def test_distances_of_the_released_model(buckets: int, known: dict[int, int]) -> None:
    sequence = SequenceBuckets(buckets)
    assert sequence.rows == 2 * buckets + 2
    index = sequence.index(1026)
    for distance, bucket in known.items():
        assert index[1 + distance, 1].item() == bucket + buckets - 1
        assert index[1, 1 + distance].item() == -bucket + buckets - 1
    assert index[1025, 1].item() == index[1024, 1].item()  # beyond the reach there is one bucket


def test_the_cls_token_has_buckets_of_its_own() -> None:
    index = SequenceBuckets(8).index(12)
    assert index[0, 1:].unique().tolist() == [15]
    assert index[1:, 0].unique().tolist() == [16]
    assert index[0, 0].item() == 17
    assert index[1:, 1:].max() < 15


def test_grid() -> None:
    rows = [[11, 9, 9, 9, 9], [10, 4, 3, 1, 0], [10, 5, 4, 2, 1], [10, 7, 6, 4, 3], [10, 8, 7, 5, 4]]
    assert GridBuckets(2).index(5).tolist() == rows
    assert [GridBuckets(side).rows for side in (16, 24, 48)] == [964, 2212, 9028]
    with pytest.raises(ValueError, match="6 patches do not fill a grid of 2 x 2; resize the image"):
        GridBuckets(2).index(7)


@pytest.mark.parametrize("buckets", [3, 2, 0])
def test_impossible_buckets(buckets: int) -> None:
    with pytest.raises(ValueError, match=f"buckets must be even and at least 4, not {buckets}"):
        SequenceBuckets(buckets)


def test_bias_is_the_table_at_the_bucket() -> None:
    bias, index = RelativeBias(SequenceBuckets(8), heads=3, tables=2), SequenceBuckets(8).index(30)
    assert not any(table.any() for table in bias.tables)
    with torch.no_grad():
        for table in bias.tables:
            table.normal_()
    for table, made in zip(bias.tables, bias(30), strict=True):
        assert made.shape == (1, 3, 30, 30)
        for q, k in [(0, 0), (0, 5), (7, 0), (3, 4), (29, 1), (1, 29)]:
            assert torch.equal(made[0, :, q, k], table[index[q, k]])


def test_visible_tokens_take_both_axes() -> None:
    bias = RelativeBias(GridBuckets(3), heads=2, tables=1)
    with torch.no_grad():
        bias.tables[0].normal_()
    keep = torch.tensor([[0, 2, 5, 9], [0, 1, 8, 3]])
    (full,), (made,) = bias(10), bias(10, keep)
    assert made.shape == (2, 2, 4, 4)
    for row in range(2):
        assert torch.equal(made[row], full[0][:, keep[row]][:, :, keep[row]])


def test_gradients_of_both_ways_agree() -> None:
    everything = torch.arange(10).expand(1, 10)
    grads = []
    for keep in (None, everything):
        bias = RelativeBias(GridBuckets(3), heads=2, tables=1)
        weight = torch.linspace(0, 1, 200).view(1, 2, 10, 10)
        (bias(10, keep)[0] * weight).sum().backward()
        grads.append(bias.tables[0].grad)
    assert torch.allclose(*grads, atol=1e-5)
    assert grads[0].abs().sum() > 0


def test_lengths_come_in_any_order() -> None:
    bias = RelativeBias(SequenceBuckets(8), heads=1, tables=1)
    with torch.no_grad():
        bias.tables[0].normal_()
    long = bias(40)[0]
    assert torch.equal(bias(12)[0], long[..., :12, :12])
    assert torch.equal(bias(40)[0], long)
