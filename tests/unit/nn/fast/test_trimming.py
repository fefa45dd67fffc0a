"""Sub-batches of similar length change nothing but the cost."""

from dataclasses import replace

import pytest
import torch

from onepeace_pl.nn import Segment, TokenSequence, Transformer, TransformerConfig
from onepeace_pl.nn.fast import trimming

BATCH, LENGTHS = 24, {"words": 12, "patches": 5}


def inputs(per_sample: bool) -> TokenSequence:
    torch.manual_seed(0)
    total = sum(LENGTHS.values())
    padding = torch.zeros(BATCH, total, dtype=torch.bool)
    for row in range(BATCH):
        padding[row, 2 + row % 10 : LENGTHS["words"]] = True  # words come first, so padding is in the middle
    x = torch.randn(BATCH, total, 16).masked_fill(padding[..., None], 0).requires_grad_()
    bias = torch.randn(BATCH if per_sample else 1, 2, total, total).requires_grad_()
    segments = (Segment("words", 0, 12), Segment("patches", 12, 17))
    return TokenSequence(x, segments, [bias], padding)


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
        monkeypatch.setattr(trimming, "PARTS", most)
        sequence = inputs(per_sample)
        assert len(trimming.split(sequence)) == (0 if most == 1 else 3)
        with torch.set_grad_enabled(grad):
            (out,) = model([sequence])
        real = out[~sequence.key_padding]
        if grad:
            model.zero_grad()
            real.square().sum().backward()
        leaves = (sequence.tokens, *sequence.biases, *model.parameters())
        results.append([real.detach(), *(leaf.grad for leaf in leaves)])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_little_padding_is_left_alone():
    padding = torch.zeros(64, 20, dtype=torch.bool)
    padding[0, 19:] = True
    x, segments = torch.zeros(64, 20, 4), (Segment("words", 0, 20),)
    assert trimming.split(TokenSequence(x, segments, key_padding=padding)) == []
    assert trimming.split(TokenSequence(x, segments)) == []


def test_windows_of_an_image_stay_together():
    sequence = inputs(False)
    assert trimming.split(sequence)
    assert trimming.split(replace(sequence, group=2)) == []


def test_each_sub_batch_is_as_short_as_its_longest_sample():
    sequence = inputs(False)
    found = trimming.split(sequence)
    assert sorted(torch.cat([part.samples for part in found]).tolist()) == list(range(BATCH))
    for part in found:
        real = ~sequence.key_padding[part.samples, : LENGTHS["words"]]
        assert part.segments[0].stop == int(real.sum(1).max())
        assert part.segments[1].stop - part.segments[1].start == LENGTHS["patches"]
