"""The transformer in plain PyTorch: the specification that the fast one is tested against.

It runs the modules' own weights, one sequence at a time, without packing, trimming or fused kernels. Stochastic depth
and dropout are left out.

Shapes: B batch, L tokens, D width, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.nn.attention import SelfAttention
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.sequence import SHARED, Routed, Segment, TokenSequence
from onepeace_pl.nn.transformer import Block, Transformer


def transformer(module: Transformer, sequence: TokenSequence) -> Tensor:
    """Blocks, then the final LayerNorm of each modality -> (B, L, D)."""
    x = sequence.tokens
    for number, layer in enumerate(module.blocks):
        assert isinstance(layer, Block)
        x = block(layer, x, sequence.segments, sequence.bias(number), sequence.key_padding)
    return by_segment(module.norms, x, sequence.segments) if sequence.norm else x


def block(
    module: Block, x: Tensor, segments: Sequence[Segment], bias: Tensor | None, padding: Tensor | None
) -> Tensor:
    """``x + s1 attention(LN(x))``, then ``x + s2 feed_forward(LN(x))``."""
    normed = by_segment(module.attention_norm, x, segments)
    x = x + module.attention_scale(attention(module.attention, normed, segments, bias, padding))
    normed = module.feed_forward_norm(x)
    out: Tensor = x + module.feed_forward_scale(by_segment(module.feed_forward, normed, segments))
    return out


def attention(
    module: SelfAttention, x: Tensor, segments: Sequence[Segment], bias: Tensor | None, padding: Tensor | None
) -> Tensor:
    """``softmax(Q K^T / sqrt(K) + bias) V`` of each head; the projections are those of each token's modality."""
    qkv = by_segment(module.project_in, x, segments)
    q, k, v = qkv.view(*x.shape[:2], 3, module.heads, -1).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if bias is not None:
        logits = logits + bias
    if padding is not None:
        logits = logits.masked_fill(padding[:, None, None], float("-inf"))
    heads = logits.softmax(-1) @ v
    if module.head_scale is not None:
        heads = heads * module.head_scale[:, None, None]
    return by_segment(module.project_out, heads.transpose(1, 2).flatten(2), segments)


def feed_forward(module: GatedFeedForward, x: Tensor) -> Tensor:
    """``W3 LN(GELU(W0 x) * (W1 x))``."""
    gate, value = module.expand(x).chunk(2, dim=-1)
    out: Tensor = module.contract(module.norm(F.gelu(gate) * value))
    return out


def by_segment(layers: Routed, x: Tensor, segments: Sequence[Segment]) -> Tensor:
    """Send each segment of (B, L, D) through the layer of its modality, or through the one that all share."""
    parts = []
    for name, start, stop in segments:
        layer, part = layers[SHARED if SHARED in layers else name], x[:, start:stop]
        parts.append(feed_forward(layer, part) if isinstance(layer, GatedFeedForward) else layer(part))
    return torch.cat(parts, dim=1)
