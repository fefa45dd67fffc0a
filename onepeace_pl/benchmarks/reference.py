"""Plain implementation of the original, for comparison (docs/reference/model.md; pretraining.md).

One call of the model for each pass; each adapter expands its bias over the batch; the encoder puts the biases into
zeros and hides padding by -inf in them; masked passes gather the expanded bias by rows, then by columns, and run the
sound's convolutions again; queries, keys and values are three products, a gated feed-forward two; the softmax is in
float32. Weights go by the original's names.

Shapes: B batch, L tokens with the CLS token at index 0, K visible tokens, D width, H heads.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.names import official_buffers, to_official
from onepeace_pl.modalities import Mask, ModalityInput
from onepeace_pl.modalities.audio.processor import FRONT_END, count_frames
from onepeace_pl.modalities.text.tokenizer import PAD

Part = tuple[Tensor, Tensor | None, Tensor | None]  # tokens (B, L, D), padding (B, L), bias (B, H, L, L)


class ReferenceModel:
    """The model of one pass at a time, with the weights of a backbone of the paper's adapters.

    Args:
        backbone: Its weights are copied.

    Attributes:
        weights: Leaf tensors by the original's names.
    """

    def __init__(self, backbone: Backbone) -> None:
        parameters = dict(backbone.named_parameters())
        trained = {name for name, p in parameters.items() if p.requires_grad}
        self.weights: dict[str, Tensor] = {}
        for name, parameter in parameters.items():
            for official, tensor in to_official({name: parameter.detach()}).items():
                self.weights[official] = tensor.clone().requires_grad_(name in trained)
        device = backbone.logit_scale.device
        self.buckets = {
            name.split(".")[1].removesuffix("_adapter"): index.to(device)
            for name, index in official_buffers(backbone).items()
            if name.endswith("rp_bucket")
        }
        assert backbone.decoder is not None
        self.depths = {"encoder": backbone.depth, "decoder": backbone.decoder.transformer.config.depth}
        self.heads = {"encoder": backbone.config.heads, "decoder": backbone.decoder.transformer.config.heads}

    def scale(self) -> Tensor:
        """Return the factor of cosine similarities, a scalar."""
        with torch.no_grad():
            self.weights["logit_scale"].clamp_(0.0, math.log(100.0))
        return self.weights["logit_scale"].exp()

    def read(self, inputs: dict[str, ModalityInput]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run one whole pass over the modalities of ``inputs`` -> tokens (B, L, D) and unit vectors (B, D) by name."""
        tokens = self._encode({name: self._adapt(name, field, None) for name, field in inputs.items()})
        units = {
            name: F.normalize(self._linear(x[:, 0], f"{name}_proj"), dim=1) for name, x in tokens.items()
        }
        return tokens, units

    def restore(self, inputs: dict[str, ModalityInput], masks: dict[str, Mask]) -> dict[str, Tensor]:
        """Run one masked pass through encoder and decoder -> restored tokens (B, L, D) by name."""
        seen = self._encode({name: self._adapt(name, field, masks[name]) for name, field in inputs.items()})
        parts: dict[str, Part] = {}
        for name, x in seen.items():
            small, mask = self._linear(x, f"decoder_{name}_embed"), masks[name]
            whole = self._length(name, inputs[name].values)
            full = self.weights[f"{name}_mask_token"].expand(small.shape[0], whole, small.shape[2]).clone()
            rows = torch.arange(small.shape[0], device=small.device)[:, None].expand_as(mask.keep)
            real = torch.ones_like(mask.keep, dtype=torch.bool)
            if mask.keep_padding is not None:
                real = ~mask.keep_padding
            full = full.index_put((rows[real], mask.keep[real]), small[real])
            table = "pos_embed" if name == "image" else "embed_positions.weight"
            positions = self.weights[f"decoder_wrapper.{name}_adapter.{table}"][:whole]
            parts[name] = (full + positions, inputs[name].padding, None)
        out = self._transform(parts, "decoder")
        return {name: self._linear(x, f"{name}_mask_head") for name, x in out.items()}

    def _length(self, name: str, values: Tensor) -> int:
        if name == "text":
            return values.shape[1] + 1
        if name == "image":
            return (values.shape[-1] // 16) ** 2 + 1
        return count_frames(values.shape[-1]) + 1

    def _linear(self, x: Tensor, name: str, bias: bool = True) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] if bias else None)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.layer_norm(x, weight.shape, weight, self.weights[f"{name}.bias"])

    def _adapt(self, name: str, field: ModalityInput, mask: Mask | None) -> Part:
        contents, padding = self._contents(name, field), field.padding
        batch, length, _ = contents.shape
        a = f"encoder_wrapper.{name}_adapter"
        table = self.weights[f"{a}.rel_pos_table_list.0.weight"]
        bias = expanded_bias(table, self.buckets[name][:length, :length], batch)
        if mask is not None:
            padding = mask.keep_padding
            contents = contents.gather(1, mask.keep[:, :, None].expand(-1, -1, contents.shape[2]))
            bias = visible_bias(bias, mask.keep)
        if name == "audio":
            positions = torch.cat(
                [self.weights[f"{a}.cls_pos_embed"].expand(batch, 1, -1), self._convolve(contents[:, 1:])], 1
            )
        else:
            positions = self.weights[f"{a}.{'pos_embed' if name == 'image' else 'embed_positions.weight'}"]
            positions = (
                positions[:length].expand(batch, -1, -1)
                if mask is None
                else F.embedding(mask.keep, positions)
            )
        return contents + positions, padding, bias

    def _contents(self, name: str, field: ModalityInput) -> Tensor:
        a, x = f"encoder_wrapper.{name}_adapter", field.values
        if name == "text":
            x = F.embedding(x, self.weights[f"{a}.embed_tokens.weight"], padding_idx=PAD)
        elif name == "image":
            for index, size in ((0, 4), (3, 2), (6, 2)):
                layer = f"{a}.embed_images.{index}"
                x = F.conv2d(x, self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"], stride=size)
                if index != 6:
                    x = self._norm(x.permute(0, 2, 3, 1), f"{a}.embed_images.{index + 1}.layer_norm")
                    x = F.gelu(x.permute(0, 3, 1, 2))
            x = x.flatten(2).transpose(1, 2)
        else:
            x = x[:, None]
            for index, (_, stride) in enumerate(FRONT_END):
                layer = f"{a}.embed_audios.0.conv_layers.{index}"
                x = F.conv1d(x, self.weights[f"{layer}.0.weight"], stride=stride)
                x = F.gelu(self._norm(x.transpose(1, 2), f"{layer}.2.1").transpose(1, 2))
            x = self._norm(x.transpose(1, 2), f"{a}.embed_audios.2")
            x = self._linear(x, f"{a}.embed_audios.3")
        return torch.cat([self.weights[f"{a}.cls_embedding"].expand(len(x), 1, -1), x], dim=1)

    def _convolve(self, x: Tensor) -> Tensor:
        width, x = x.shape[2], x.transpose(1, 2)
        for index in range(1, 6):
            layer = f"encoder_wrapper.audio_adapter.embed_positions.{index}.0"
            weight = self.weights[f"{layer}.weight"]
            x = F.conv1d(
                x,
                weight,
                self.weights[f"{layer}.bias"],
                padding=weight.shape[2] // 2,
                groups=width // weight.shape[1],
            )
            x = F.gelu(F.layer_norm(x.transpose(1, 2), (width,)).transpose(1, 2))
        return x.transpose(1, 2)

    def _encode(self, parts: dict[str, Part]) -> dict[str, Tensor]:
        return self._transform(parts, "encoder")

    def _transform(self, parts: dict[str, Part], stack: str) -> dict[str, Tensor]:
        base, heads = f"{stack}_wrapper.fusion_model", self.heads[stack]
        x = torch.cat([part[0] for part in parts.values()], dim=1)
        paddings = [
            torch.zeros(tokens.shape[:2], dtype=torch.bool, device=x.device) if padding is None else padding
            for tokens, padding, _ in parts.values()
        ]
        padding = torch.cat(paddings, dim=1)
        has_pads = bool(padding.any())
        if has_pads:
            x = x * (1 - padding[:, :, None].to(x.dtype))
        bias = None
        if stack == "encoder":
            bias = joint_bias([own for _, _, own in parts.values() if own is not None])
            if has_pads:
                bias = bias.masked_fill(padding[:, None, None, :], float("-inf"))
        sizes = {name: part[0].shape[1] for name, part in parts.items()}
        for index in range(self.depths[stack]):
            x = self.layer(x, bias, sizes, heads, f"{base}.layers.{index}")
        pieces = torch.split(x, list(sizes.values()), dim=1)
        return {
            name: self._norm(u, f"{base}.{name}_layer_norm") for name, u in zip(sizes, pieces, strict=True)
        }

    def layer(self, x: Tensor, bias: Tensor | None, sizes: dict[str, int], heads: int, name: str) -> Tensor:
        """Run one layer over (B, L, D), whose modalities have ``sizes`` tokens, with a bias (B, H, L, L)."""
        u = self._norm(x, f"{name}.self_attn_layer_norm")
        q, v = (self._linear(u, f"{name}.self_attn.{part}_proj") for part in ("q", "v"))
        out = attention(q, self._linear(u, f"{name}.self_attn.k_proj", bias=False), v, bias, heads)
        out = self._linear(self._norm(out, f"{name}.self_attn.ln"), f"{name}.self_attn.out_proj")
        x = x + self._scaled(out, f"{name}.gamma_1")
        inner = torch.split(self._norm(x, f"{name}.final_layer_norm"), list(sizes.values()), dim=1)
        outs = [self._gated(u, f"{name}.{part}_ffn") for part, u in zip(sizes, inner, strict=True)]
        return x + self._scaled(torch.cat(outs, dim=1), f"{name}.gamma_2")

    def _scaled(self, x: Tensor, name: str) -> Tensor:
        return self.weights[name] * x if name in self.weights else x

    def _gated(self, x: Tensor, name: str) -> Tensor:
        gate = F.gelu(self._linear(x, f"{name}.0.wi_0", bias=False))
        inner = gate * self._linear(x, f"{name}.0.wi_1", bias=False)
        return self._linear(self._norm(inner, f"{name}.2"), f"{name}.3")


def expanded_bias(table: Tensor, buckets: Tensor, batch: int) -> Tensor:
    """Look up (R, H) by (L, L), for every sample -> (B, H, L, L)."""
    return F.embedding(buckets, table).unsqueeze(0).expand(batch, -1, -1, -1).permute(0, 3, 1, 2)


def joint_bias(biases: list[Tensor]) -> Tensor:
    """Put (B, H, L, L) of each modality on the diagonal of zeros."""
    batch, heads = biases[0].shape[:2]
    length, start = sum(own.shape[2] for own in biases), 0
    bias = biases[0].new_zeros(batch, heads, length, length)
    for own in biases:
        stop = start + own.shape[2]
        bias[:, :, start:stop, start:stop] += own
        start = stop
    return bias


def visible_bias(bias: Tensor, keep: Tensor) -> Tensor:
    """Gather (B, H, L, L) by rows, then by columns, at visible positions (B, K) -> (B, H, K, K)."""
    heads, length = bias.shape[1:3]
    bias = bias.gather(2, keep[:, None, :, None].expand(-1, heads, -1, length))
    return bias.gather(3, keep[:, None, None, :].expand(-1, heads, keep.shape[1], -1))


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Attend with three (B, L, D) and a bias (B, H, L, L) -> (B, L, D)."""
    batch, length, width = q.shape
    size = width // heads
    q, k, v = (
        t.view(batch, length, heads, size).transpose(1, 2).reshape(batch * heads, length, size)
        for t in (q * size**-0.5, k, v)
    )
    scores = torch.bmm(q, k.transpose(1, 2))
    if bias is not None:
        scores = (scores.view(batch, heads, length, length) + bias).view_as(scores)
    out = torch.bmm(scores.float().softmax(-1).to(scores.dtype), v)
    return out.view(batch, heads, length, size).transpose(1, 2).reshape(batch, length, width)
