"""Two models compared: the vectors that they make of the same inputs, and their parameters.

Shapes: B batch, D width, L tokens with the summary, S picture side in pixels, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.modalities import ModalityInput


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
    """Embed the same random inputs of every shared modality with both: several lengths, and with padding.

    Args:
        a: A model.
        b: Another, on the same device.
        seed: Of the inputs.
        batch: Number of inputs B of each modality.
    """
    return {name: _compare_modality(a, b, name, seed, batch) for name in a.modalities if name in b.modalities}


@torch.no_grad()
def compare_jointly(a: Backbone, b: Backbone, names: Sequence[str], seed: int = 0, batch: int = 4) -> Vectors:
    """Embed random inputs of several modalities, read together, with both; those that can be made."""
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
    """Say whether two tensors have the same type, shape and bytes; not a number equals itself here."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    x, y = (t.contiguous().flatten().view(torch.uint8) for t in (a, b))
    return torch.equal(x, y)


@torch.no_grad()
def _random_inputs(model: Backbone, name: str, seed: int, batch: int) -> list[ModalityInput]:
    """Make inputs of three lengths, and last one of which every other row is half padding; none if none can be made."""
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
    found = [_compared(lambda model, x=x: model.embed({name: x})[name], a, b) for x in made[0]]  # type: ignore[misc]
    if any(each.equal is None for each in found):
        return found[0]
    return Vectors(all(each.equal for each in found), max(each.difference for each in found))


def _compared(embed: Callable[[Backbone], Tensor], a: Backbone, b: Backbone) -> Vectors:
    x, y = embed(a).cpu(), embed(b).cpu()
    if x.shape != y.shape:
        return Vectors(None, why_not=f"vectors of {x.shape[1]} and {y.shape[1]} dimensions")
    return Vectors(same_bits(x, y), float((x.float() - y.float()).abs().max()))
