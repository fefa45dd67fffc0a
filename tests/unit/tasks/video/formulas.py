"""The forward pass of the specification (tasks, section 15), one token, one frame and one place at a time.

Shapes: B clips, T frames, L tokens, D width, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import ModalityInput, View
from onepeace_pl.tasks.video import VideoClassification

Weights = Mapping[str, Tensor]


def weights(module: torch.nn.Module, prefix: str) -> dict[str, Tensor]:
    """Parameters below a prefix, so that gradients reach the module's own."""
    return {n.removeprefix(prefix): p for n, p in module.named_parameters() if n.startswith(prefix)}


def norm(x: Tensor, w: Weights, name: str) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(x: Tensor, w: Weights, name: str) -> Tensor:
    return torch.einsum("...i,oi->...o", x, w[f"{name}.weight"]) + w[f"{name}.bias"]


def adapter(x: Tensor, w: Weights, name: str) -> Tensor:
    return linear(F.gelu(linear(x, w, f"{name}.down")), w, f"{name}.up")


def attention(u: Tensor, w: Weights, heads: int, bias: Tensor | None) -> Tensor:
    """Attend among the tokens of one sequence (L, D)."""
    inside = "attention.project_in.shared"
    q, k, v = (torch.einsum("li,oi->lo", u, part) for part in w[f"{inside}.weight"].chunk(3))
    q, v = q + w[f"{inside}.query_bias"], v + w[f"{inside}.value_bias"]
    q, k, v = (each.unflatten(-1, (heads, -1)) for each in (q, k, v))
    scores = torch.einsum("qhk,mhk->hqm", q * q.shape[-1] ** -0.5, k)
    shares = (scores if bias is None else scores + bias).softmax(-1)
    out = torch.einsum("hqm,mhk->qhk", shares, v).flatten(1)
    outside = "attention.project_out.shared"
    return linear(norm(out, w, f"{outside}.sub_norm"), w, f"{outside}.linear")


def feed_forward(u: Tensor, w: Weights) -> Tensor:
    first, second = w["feed_forward.image.expand.weight"].chunk(2)
    gated = F.gelu(torch.einsum("...i,oi->...o", u, first)) * torch.einsum("...i,oi->...o", u, second)
    return linear(norm(gated, w, "feed_forward.image.norm"), w, "feed_forward.image.contract")


def layer(x: Tensor, block: Weights, own: Weights, heads: int, bias: Tensor | None) -> Tensor:
    """One layer on (B, T, L, D)."""
    u = norm(x, block, "attention_norm.shared")
    seen = torch.stack(
        [
            torch.stack([attention(u[b, :, place], block, heads, None) for place in range(x.shape[2])], dim=1)
            for b in range(len(x))
        ]
    )
    z = norm(x + adapter(seen, own, "time"), block, "attention_norm.shared")
    seen = torch.stack(
        [
            torch.stack([attention(z[b, t], block, heads, bias) for t in range(x.shape[1])])
            for b in range(len(x))
        ]
    )
    x = x + block["attention_scale.gamma"] * (seen + adapter(seen, own, "space"))
    u = norm(x, block, "feed_forward_norm")
    fed = block["feed_forward_scale.gamma"] * feed_forward(u, block)
    return x + fed + 0.5 * adapter(u, own, "feed_forward")


def logits(backbone: Backbone, task: VideoClassification, frames: ModalityInput) -> Tensor:
    """Logits (B, C) of clips without dropout."""
    (tokens,) = backbone.encoder.adapter("image")(frames, [View()])
    x = tokens.embeddings.unflatten(0, (-1, task.frames))
    w = weights(task, "")
    x = torch.stack([x[:, t] + w["space_time.temporal_embedding"][0, t] for t in range(task.frames)], dim=1)
    for i in range(backbone.depth):
        bias = tokens.bias[i if len(tokens.bias) > 1 else 0][0] if tokens.bias else None
        block = weights(backbone, f"encoder.transformer.blocks.{i}.")
        x = layer(x, block, weights(task, f"space_time.layers.{i}."), backbone.config.heads, bias)
    summaries = norm(x[:, :, 0], w, "head.norm")
    return linear(summaries.mean(1), w, "head.linear")
