"""Two models compared: the vectors that they make of the same inputs, and their parameters.

Shapes: B batch, D width, S picture side in pixels, N samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, ModalityAdapter, ModalityInput, TextAdapter

TOKENS, SECONDS, RATE = 12, 2, 16_000


@dataclass(frozen=True)
class Vectors:
    """How the vectors of one modality compare.

    Attributes:
        equal: Whether they are equal bit for bit; None where they could not be compared.
        difference: Largest absolute difference.
        why_not: Why they could not be compared.
    """

    equal: bool | None
    difference: float = 0.0
    why_not: str = ""


@dataclass(frozen=True)
class Parameters:
    """How the parameters of two models compare, by name.

    Attributes:
        equal: Equal bit for bit.
        changed: Of other values, another shape or another type.
        only_a: In the first alone.
        only_b: In the second alone.
    """

    equal: tuple[str, ...]
    changed: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def compare_vectors(a: Backbone, b: Backbone, seed: int = 0, batch: int = 4) -> dict[str, Vectors]:
    """Embed the same random inputs of every shared modality with both.

    Args:
        a: A model.
        b: Another, on the same device.
        seed: Of the inputs.
        batch: Number of inputs B of each modality.
    """
    return {name: _compare_modality(a, b, name, seed, batch) for name in a.modalities if name in b.modalities}


def compare_parameters(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Parameters:
    """Compare the tensors of two models, name by name."""
    shared = [name for name in a if name in b]
    equal = tuple(name for name in shared if same_bits(a[name], b[name]))
    return Parameters(
        equal,
        tuple(name for name in shared if name not in set(equal)),
        tuple(name for name in a if name not in b),
        tuple(name for name in b if name not in a),
    )


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors have the same type, shape and bytes; not a number equals itself here."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    x, y = (t.contiguous().flatten().view(torch.uint8) for t in (a, b))
    return torch.equal(x, y)


def random_input(adapter: ModalityAdapter, batch: int, generator: torch.Generator) -> ModalityInput | None:
    """Make an input for an adapter of the paper, or one with a method ``random_values(batch, generator)``.

    Returns:
        Token ids (B, K), pixels (B, 3, S, S) or waveforms (B, N); None for an adapter that is neither.
    """
    own = getattr(adapter, "random_values", None)
    if callable(own):
        return ModalityInput(own(batch, generator))
    if isinstance(adapter, TextAdapter):
        length = min(TOKENS, (adapter.max_tokens or TOKENS + 1) - 1)
        ids = torch.randint(4, adapter.vocabulary, (batch, length), generator=generator)
        ids[:, -1] = 2
        return ModalityInput(ids)
    if isinstance(adapter, ImageAdapter):
        size = adapter.image_size
        return ModalityInput(torch.randn(batch, 3, size, size, generator=generator))
    if isinstance(adapter, AudioAdapter):
        return ModalityInput(torch.randn(batch, SECONDS * RATE, generator=generator))
    return None


@torch.no_grad()
def _compare_modality(a: Backbone, b: Backbone, name: str, seed: int, batch: int) -> Vectors:
    made = [
        random_input(model.encoder.adapter(name), batch, torch.Generator().manual_seed(seed))
        for model in (a, b)
    ]
    if made[0] is None or made[1] is None:
        return Vectors(None, why_not="its adapter has no random_values(batch, generator)")
    if not same_bits(made[0].values, made[1].values):
        return Vectors(None, why_not="the models take other inputs (another size or vocabulary)")
    device = a.logit_scale.device
    inputs = {name: ModalityInput(made[0].values.to(device))}
    x, y = a.embed(inputs)[name].cpu(), b.embed(inputs)[name].cpu()
    if x.shape != y.shape:
        return Vectors(None, why_not=f"vectors of {x.shape[1]} and {y.shape[1]} dimensions")
    return Vectors(same_bits(x, y), float((x.float() - y.float()).abs().max()))
