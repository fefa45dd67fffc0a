"""The fast transformer gives the outputs and gradients of the plain one, with every switch."""

from typing import Any

import pytest
import torch
from torch import Tensor

from onepeace_pl.nn import Segment, TokenSequence, Transformer, TransformerConfig, plain

BATCH, TEXT, IMAGE = 24, 12, 5  # enough samples of unequal length for sub-batches

OPTIONS: list[dict[str, Any]] = [
    {},
    {"scale_heads": True, "out_norm": True, "sub_norm": False},
    {"share_attention": False, "feed_forward_norm": False},
    {"share_feed_forward": True, "layer_scale": 0.0},
    {"activation_checkpointing": "full"},
    {"activation_checkpointing": "selective"},
]


def made(options: dict[str, Any]) -> Transformer:
    torch.manual_seed(0)
    sizes = {"width": 16, "depth": 2, "heads": 2, "feed_forward": 24, "layer_scale": 0.5}
    model = Transformer(TransformerConfig(**(sizes | options)), ["text", "image"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def passes(dtype: torch.dtype) -> list[TokenSequence]:
    """A padded pass, a joint one with a bias for each layer and sample, a short one without bias, a teacher."""
    draw = torch.Generator().manual_seed(1)
    padding = torch.arange(TEXT) >= (3 + torch.arange(BATCH) % 10)[:, None]
    both = torch.cat([padding, torch.zeros(BATCH, IMAGE, dtype=torch.bool)], dim=1)
    text, image = Segment("text", 0, TEXT), Segment("image", 0, IMAGE)
    joint = (text, Segment("image", TEXT, TEXT + IMAGE))

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=dtype).requires_grad_()

    def tokens(length: int, padding: Tensor | None = None) -> Tensor:
        x = random(BATCH, length, 16)
        return x if padding is None else x.detach().masked_fill(padding[..., None], 0).requires_grad_()

    total = TEXT + IMAGE
    return [
        TokenSequence(tokens(TEXT, padding), (text,), [random(1, 2, TEXT, TEXT)], padding),
        TokenSequence(tokens(total, both), joint, [random(BATCH, 2, total, total) for _ in range(2)], both),
        TokenSequence(tokens(IMAGE), (image,), norm=False),
        TokenSequence(tokens(total, both), joint, [random(1, 2, total, total)], both, grad=False),
    ]


def leaves(model: Transformer, sequences: list[TokenSequence]) -> list[Tensor]:
    return [*model.parameters(), *(s.tokens for s in sequences), *(b for s in sequences for b in s.biases)]


def run(
    model: Transformer, sequences: list[TokenSequence], outputs: list[Tensor]
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs at real tokens, and the gradients of their weighted sum."""
    real = [
        x if s.key_padding is None else x[~s.key_padding] for x, s in zip(outputs, sequences, strict=True)
    ]
    loss = sum(
        (x * torch.linspace(-1, 1, x.numel()).view_as(x)).sum()
        for x, s in zip(real, sequences, strict=True)
        if s.grad
    )
    return real, list(torch.autograd.grad(loss, leaves(model, sequences), allow_unused=True))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "+".join(o) or "released")
def test_outputs_and_gradients(options: dict[str, Any]) -> None:
    model, sequences = (
        made(options).double(),
        passes(torch.float64),
    )  # in float32, rounding would hide mistakes
    fast, fast_grads = run(model, sequences, model(sequences))
    slow, slow_grads = run(model, sequences, [plain.transformer(model, s) for s in sequences])
    for mine, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    assert not fast[3].requires_grad
    for mine, theirs in zip(fast_grads, slow_grads, strict=True):
        if theirs is None:
            assert mine is None
        else:
            assert mine is not None
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_outputs_without_gradients() -> None:
    model, sequences = made({}).eval(), passes(torch.float32)
    for x, sequence in zip(model(sequences), sequences, strict=True):
        real = slice(None) if sequence.key_padding is None else ~sequence.key_padding
        torch.testing.assert_close(x[real], plain.transformer(model, sequence)[real], rtol=1e-4, atol=1e-5)
