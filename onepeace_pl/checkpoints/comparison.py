"""Comparison of two models: their embeddings of the same inputs, and their parameters, bit for bit.

Shapes: B batch, L tokens with the CLS token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import ModalityInput


@dataclass(frozen=True)
class Vectors:
    """Comparison of the embeddings of one modality.

    Attributes:
        equal: Equal bit for bit; None where they could not be compared.
        difference: Largest absolute difference.
        why_not: Reason why they could not be compared.
    """

    equal: bool | None
    difference: float = 0.0
    why_not: str = ""


@dataclass(frozen=True)
class Parameters:
    """Comparison of the parameters of two models, by name.

    Attributes:
        equal: Equal bit for bit.
        changed: Different values, shape or dtype.
        only_a: Only in the first.
        only_b: Only in the second.
    """

    equal: tuple[str, ...]
    changed: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def compare_vectors(a: Backbone, b: Backbone, seed: int = 0, batch: int = 4) -> dict[str, Vectors]:
    """Compare embeddings of the same random inputs of every shared modality, of several lengths and with padding.

    Args:
        a: A model.
        b: Another, on the same device.
        seed: Seed of the inputs.
        batch: Number of inputs B of each modality.
    """
    return {name: _compare_modality(a, b, name, seed, batch) for name in a.modalities if name in b.modalities}


@torch.no_grad()
def compare_jointly(a: Backbone, b: Backbone, names: Sequence[str], seed: int = 0, batch: int = 4) -> Vectors:
    """Compare joint embeddings of random inputs of several modalities."""
    inputs = {}
    for name in names:
        made = [_random_inputs(model, name, seed, batch) for model in (a, b)]
        if made[0] and made[1] and same_bits(made[0][-1].values, made[1][-1].values):
            inputs[name] = made[0][-1]  # padded
    if len(inputs) < 2:
        return Vectors(None, why_not="fewer than two modalities have random inputs")
    return _compared(lambda model: model.embed_jointly(inputs), a, b)


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
    """Return whether two tensors have the same dtype, shape and bytes; NaN equals itself here."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    x, y = (t.contiguous().flatten().view(torch.uint8) for t in (a, b))
    return torch.equal(x, y)


@torch.no_grad()
def _random_inputs(model: Backbone, name: str, seed: int, batch: int) -> list[ModalityInput]:
    """Return inputs of three lengths, and one with every other row half padded; none if the adapter has no values."""
    adapter, device = model.encoder.adapter(name), model.logit_scale.device
    found = []
    for number, share in enumerate((0.25, 0.5, 1.0)):
        values = adapter.random_values(batch, torch.Generator().manual_seed(seed + number), share)
        if values is None:
            return []
        found.append(ModalityInput(values.to(device)))
    length = adapter.stem(found[-1].values).shape[1] + 1
    padding = torch.zeros(batch, length, dtype=torch.bool, device=device)
    padding[1::2, length // 2 + 1 :] = True
    return [*found, ModalityInput(found[-1].values, padding)]


@torch.no_grad()
def _compare_modality(a: Backbone, b: Backbone, name: str, seed: int, batch: int) -> Vectors:
    made = [_random_inputs(model, name, seed, batch) for model in (a, b)]
    if not made[0] or not made[1]:
        return Vectors(None, why_not="its adapter implements no random_values")
    if not all(same_bits(x.values, y.values) for x, y in zip(*made, strict=True)):
        return Vectors(None, why_not="the models take other inputs (another size or vocabulary)")
    found = [_compared(partial(_embed, name, x), a, b) for x in made[0]]
    if any(each.equal is None for each in found):
        return found[0]
    return Vectors(all(each.equal for each in found), max(each.difference for each in found))


def _embed(name: str, x: ModalityInput, model: Backbone) -> Tensor:
    return model.embed({name: x})[name]


def _compared(embed: Callable[[Backbone], Tensor], a: Backbone, b: Backbone) -> Vectors:
    x, y = embed(a).cpu(), embed(b).cpu()
    if x.shape != y.shape:
        return Vectors(None, why_not=f"vectors of {x.shape[1]} and {y.shape[1]} dimensions")
    return Vectors(same_bits(x, y), float((x.float() - y.float()).abs().max()))
