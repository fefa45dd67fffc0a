"""The encoder: adapters, one transformer for any subset of modalities, projections (paper, section 3.1).

A step is one call with several forward passes, each of which encodes some modalities together.

Shapes: B batch, L tokens with the CLS token at index 0, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities import Mask, ModalityAdapter, ModalityInput, Tokens, View
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.nn import Segment, TokenSequence, Transformer, TransformerConfig
from onepeace_pl.nn.init import reset_linear_
from onepeace_pl.nn.sequence import with_zero_grad

StopAfter = Literal["blocks", "norm", "projection"]
"""End of a pass: the last block, the final norms, or the projections of the CLS tokens."""


@dataclass(frozen=True)
class ForwardPass:
    """One pass of the encoder.

    Attributes:
        modalities: Modalities that are encoded together, in this order.
        masks: For a student pass, the mask of each modality: the encoder sees the visible tokens, the decoder
            reconstructs the rest.
        grad: Whether the pass is differentiated; a teacher's is not.
        rows: Number R of samples, the first of the batch; None for all. Masks and features then have R rows.
        stop_after: End of the pass.
        fields: Batch field of a modality, where it is not the one of its name.
        repeat: Number of times that each sample of a modality is repeated, sample by sample: once for each of the
            texts that it is paired with. Its stem runs only once.
    """

    modalities: tuple[str, ...]
    masks: Mapping[str, Mask] | None = None
    grad: bool = True
    rows: int | None = None
    stop_after: StopAfter = "projection"
    fields: Mapping[str, str] = field(default_factory=dict)
    repeat: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Sequence[str], grad: bool = True, rows: int | None = None) -> Self:
        """Return the pass that encodes some fields of a batch together, such as ``image:reference`` and ``text``.

        Raises:
            UserError: Two fields are of one modality.
        """
        read: dict[str, str] = {}
        for name in fields:
            other = read.setdefault(modality_of(name), name)
            if other != name:
                raise UserError(f"{other} and {name} are of one modality; one pass reads one field of each")
        return cls(tuple(read), grad=grad, rows=rows, fields=read)

    def field_of(self, modality: str) -> str:
        """Return the batch field of a modality."""
        return self.fields.get(modality, modality)


@dataclass
class Features:
    """Outputs of a pass, by modality.

    Attributes:
        tokens: (B, L, D) after the final norm, or after the last block where the pass ends there; of the visible
            tokens in a student pass.
        padding: (B, L) bool, True where padded, or None.
        lengths: Number of tokens L with the CLS token, hidden ones included.
        embeddings: (B, D) unit vectors, the projected CLS tokens; empty in a student pass, and in one that ends
            earlier.
        reconstructed: (B, L, D), the decoder's output at every position; student passes only.
    """

    tokens: dict[str, Tensor]
    padding: dict[str, Tensor | None]
    lengths: dict[str, int]
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    reconstructed: dict[str, Tensor] = field(default_factory=dict)


class Projection(nn.Linear):
    """Linear projection of the CLS token to the shared embedding space."""

    def __init__(self, config: TransformerConfig) -> None:
        self.std = config.init_std
        super().__init__(config.width, config.width)

    def reset_parameters(self) -> None:
        """Initialise in place."""
        reset_linear_(self, self.std)

    def forward(self, input: Tensor) -> Tensor:
        """(B, L, D) -> (B, D) float32, the projected CLS token as a unit vector; in 16 bits it would be 1 % off."""
        return _unit(super().forward(input[:, 0]))

    def tokens(self, input: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D) float32, every projected token as a unit vector."""
        return _unit(super().forward(input))


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)


class Encoder(nn.Module):
    """One transformer for any subset of modalities.

    Args:
        config: Sizes and switches.
        adapters: Adapters by modality.
    """

    def __init__(self, config: TransformerConfig, adapters: Mapping[str, ModalityAdapter]) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict(adapters)
        self.transformer = Transformer(config, list(adapters))
        self.projections = nn.ModuleDict({name: Projection(config) for name in adapters})

    def adapter(self, name: str) -> ModalityAdapter:
        """Return a modality's adapter."""
        adapter = self.adapters[name]
        assert isinstance(adapter, ModalityAdapter)
        return adapter

    def projection(self, name: str) -> Projection:
        """Return a modality's projection."""
        projection = self.projections[name]
        assert isinstance(projection, Projection)
        return projection

    def forward(self, inputs: Mapping[str, ModalityInput], passes: Sequence[ForwardPass]) -> list[Features]:
        """Run all passes at once; each adapter's stem runs once, whatever the number of passes."""
        tokens = self._tokens(inputs, passes)
        joined = [
            join(parts, forward_pass.grad, forward_pass.stop_after != "blocks")
            for parts, forward_pass in zip(tokens, passes, strict=True)
        ]
        read = {name for parts in tokens for name in parts}
        unused = [
            part[name] for part in (self.adapters, self.projections) for name in part if name not in read
        ]
        first = next((i for i, forward_pass in enumerate(passes) if forward_pass.grad), None)
        if unused and first is not None:
            joined[first] = replace(joined[first], tokens=with_zero_grad(joined[first].tokens, unused))
        outputs = self.transformer(joined)
        features = []
        for x, sequence, parts, forward_pass in zip(outputs, joined, tokens, passes, strict=True):
            rows = {s.name: x[:, s.start : s.stop] for s in sequence.segments}
            result = Features(
                rows,
                {n: part.padding for n, part in parts.items()},
                {n: part.length for n, part in parts.items()},
            )
            if forward_pass.masks is None and forward_pass.stop_after == "projection":
                with torch.set_grad_enabled(forward_pass.grad and torch.is_grad_enabled()):
                    result.embeddings = {name: self.projections[name](row) for name, row in rows.items()}
            features.append(result)
        return features

    def _tokens(
        self, inputs: Mapping[str, ModalityInput], passes: Sequence[ForwardPass]
    ) -> list[dict[str, Tokens]]:
        made: list[dict[str, Tokens]] = [{} for _ in passes]
        for name in dict.fromkeys(name for forward_pass in passes for name in forward_pass.modalities):
            if name not in self.adapters:
                raise UserError(f"the backbone has no modality {name!r}; it has {', '.join(self.adapters)}")
            readers = [i for i, forward_pass in enumerate(passes) if name in forward_pass.modalities]
            for key in dict.fromkeys(passes[i].field_of(name) for i in readers):
                if key not in inputs:
                    raise UserError(f"the batch has no {key!r}; it has {', '.join(inputs)}")
                users = [i for i in readers if passes[i].field_of(name) == key]
                views = [_view(passes[i], name) for i in users]
                for i, part in zip(users, self.adapters[name](inputs[key], views), strict=True):
                    made[i][name] = part
        return [
            {name: parts[name] for name in forward_pass.modalities}
            for parts, forward_pass in zip(made, passes, strict=True)
        ]


def _view(forward_pass: ForwardPass, name: str) -> View:
    return View(
        (forward_pass.masks or {}).get(name),
        forward_pass.grad,
        forward_pass.rows,
        forward_pass.repeat.get(name, 1),
    )


def join(parts: Mapping[str, Tokens], grad: bool = True, norm: bool = True) -> TokenSequence:
    """Concatenate the modalities of one pass.

    Padded tokens are zeroed. The bias is block-diagonal: there is none between modalities.
    """
    with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
        segments, start = [], 0
        for name, part in parts.items():
            segments.append(Segment(name, start, start + part.embeddings.shape[1]))
            start = segments[-1].stop
        tokens = list(parts.values())
        x = tokens[0].embeddings if len(tokens) == 1 else torch.cat([t.embeddings for t in tokens], dim=1)
        padding = _join_padding(tokens)
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0.0)
        count = max(len(t.bias) for t in tokens)
        biases = [
            _block_diagonal([t.bias[i % len(t.bias)] if t.bias else None for t in tokens], segments)
            for i in range(count)  # beside one bias for each layer, a single one serves them all
        ]
        return TokenSequence(x, tuple(segments), biases, padding, grad, norm)


def _join_padding(tokens: Sequence[Tokens]) -> Tensor | None:
    if all(t.padding is None for t in tokens):
        return None
    return torch.cat(
        [
            t.embeddings.new_zeros(t.embeddings.shape[:2], dtype=torch.bool)
            if t.padding is None
            else t.padding
            for t in tokens
        ],
        dim=1,
    )


def _block_diagonal(biases: Sequence[Tensor | None], segments: Sequence[Segment]) -> Tensor:
    if len(segments) == 1 and biases[0] is not None:
        return biases[0]
    known = [b for b in biases if b is not None]
    total, batch = segments[-1].stop, max(b.shape[0] for b in known)
    rows = []
    for bias, segment in zip(biases, segments, strict=True):
        if bias is None:
            rows.append(known[0].new_zeros(batch, known[0].shape[1], segment.stop - segment.start, total))
        else:
            rows.append(F.pad(bias.expand(batch, -1, -1, -1), (segment.start, total - segment.stop)))
    return torch.cat(rows, dim=2)
