"""Cutting padded sequences changes nothing but the cost."""

import pytest
import torch

from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.fast import trimming
from onepeace_pl.nn.transformer import PackedInput, Segment, Transformer

BATCH, LENGTHS = 24, {"words": 12, "patches": 5}


def inputs(per_sample: bool) -> tuple[torch.Tensor, list[torch.Tensor], PackedInput]:
    torch.manual_seed(0)
    total = sum(LENGTHS.values())
    padding = torch.zeros(BATCH, total, dtype=torch.bool)
    for row in range(BATCH):
        padding[row, 2 + row % 10 : LENGTHS["words"]] = True  # words come first, so padding is in the middle
    x = torch.randn(BATCH, total, 16).masked_fill(padding[..., None], 0).requires_grad_()
    bias = torch.randn(BATCH if per_sample else 1, 2, total, total).requires_grad_()
    segments = (Segment("words", 0, 12), Segment("patches", 12, 17))
    return x, [bias], PackedInput(segments, padding)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_values_and_gradients_stay(monkeypatch, per_sample, grad):
    model = Transformer(
        TransformerConfig(width=16, depth=2, heads=2, feed_forward=32, layer_scale=0.5), ["words", "patches"]
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    results = []
    for most in (4, 1):
        monkeypatch.setattr(trimming, "CUTS", most)
        x, biases, sequence = inputs(per_sample)
        assert len(trimming.cuts(sequence)) == (0 if most == 1 else 3)
        with torch.set_grad_enabled(grad):
            (out,) = model([x], [biases], [sequence])
        real = out[~sequence.key_padding]
        if grad:
            model.zero_grad()
            real.square().sum().backward()
        results.append([real.detach(), x.grad, biases[0].grad, *(p.grad for p in model.parameters())])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_little_padding_is_left_alone():
    padding = torch.zeros(64, 20, dtype=torch.bool)
    padding[0, 19:] = True
    assert trimming.cuts(PackedInput((Segment("words", 0, 20),), padding)) == []
    assert trimming.cuts(PackedInput((Segment("words", 0, 20),), None)) == []


def test_each_cut_is_as_short_as_its_longest_sample():
    _, _, sequence = inputs(False)
    found = trimming.cuts(sequence)
    assert sorted(torch.cat([cut.rows for cut in found]).tolist()) == list(range(BATCH))
    for cut in found:
        real = ~sequence.key_padding[cut.rows, : LENGTHS["words"]]
        assert cut.sequence.segments[0].stop == int(real.sum(1).max())
        assert cut.sequence.segments[1].stop - cut.sequence.segments[1].start == LENGTHS["patches"]
