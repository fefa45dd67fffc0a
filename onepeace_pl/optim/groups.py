"""Parameter groups: what decays, and how much slower deeper layers learn. Knows no modality and no name.

A module may carry ``no_weight_decay: frozenset[str]`` naming parameters of its own (timm's convention), and
``lr_scale: float``, the share of the learning rate for everything in it. A module with ``depth`` and ``layer_of`` says
where each of its parameters lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

from onepeace_pl.errors import UserError

BuildOptimizer = Callable[[Iterable[dict[str, Any]]], Optimizer]


@runtime_checkable
class Layered(Protocol):
    """A module whose parameters lie in layers."""

    @property
    def depth(self) -> int:
        """Number of layers between embeddings and what follows the last layer."""

    def layer_of(self, name: str) -> int:
        """Layer of a parameter of this module: 0 embeddings, 1..depth layers, depth + 1 what follows."""


def parameter_groups(model: nn.Module, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Sort the trainable parameters of a model into groups for an optimiser.

    No weight decay acts on vectors and scalars, on biases, and on what a module's ``no_weight_decay`` names.
    The rate of a parameter in layer i of a :class:`Layered` module is scaled by ``layer_decay ** (depth + 1 -
    i)``; parameters outside any such module (heads) are scaled by 1. The ``lr_scale`` of every module around a
    parameter is multiplied in.

    Args:
        model: The model; parameters that require no gradient are left out.
        layer_decay: Ratio of the rates of two neighbouring layers, in (0, 1].

    Returns:
        Groups with ``params``, ``name`` (for logs), ``lr_scale`` and, only where there is no decay,
        ``weight_decay = 0.0``; elsewhere the optimiser's own weight decay holds. First layers first.

    Raises:
        ValueError: If ``layer_decay`` is out of range, a module marks a parameter that it does not have or has
            an ``lr_scale`` that is not positive, or nothing is trainable.

    Source: arXiv 2305.11172 appendix (fine-tuning settings).
    """
    if not 0.0 < layer_decay <= 1.0:
        raise ValueError(f"layer_decay must be in (0, 1], not {layer_decay}")
    exempt = _marked(model)
    layered = {prefix: module for prefix, module in model.named_modules() if isinstance(module, Layered)}
    shares = _shares(model)
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        scale = layer_decay ** _layers_above(name, layered) * _share(name, shares)
        decays = parameter.ndim > 1 and name.rpartition(".")[2] != "bias" and name not in exempt
        if (scale, decays) not in groups:
            label = f"x{scale:.4g}" if layer_decay < 1 or shares else "all"
            group: dict[str, Any] = {"params": [], "name": label, "lr_scale": scale}
            if not decays:
                group |= {"name": f"{label}-no-decay", "weight_decay": 0.0}
            groups[scale, decays] = group
        groups[scale, decays]["params"].append(parameter)
    if not groups:
        raise ValueError("no parameter requires a gradient: choose a stage that trains something")
    return [groups[key] for key in sorted(groups)]


def build_optimizer(model: nn.Module, optimizer: BuildOptimizer, layer_decay: float = 1.0) -> Optimizer:
    """Build an optimiser over :func:`parameter_groups`, each group at its own share of the rate.

    Args:
        model: The model.
        optimizer: From groups to an optimiser, for instance ``functools.partial(torch.optim.AdamW,
            lr=5e-4)``.
        layer_decay: See :func:`parameter_groups`.

    Returns:
        The optimiser; each group keeps its ``lr_scale``, from which a schedule knows the unscaled rate.

    Raises:
        UserError: The optimiser does not take an option's value.
    """
    groups = parameter_groups(model, layer_decay)
    try:
        built = optimizer(groups)
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer: {error}") from error
    for group in built.param_groups:
        group["lr"] *= group["lr_scale"]
    return built


def _marked(model: nn.Module) -> set[str]:
    """Full names of the parameters that some module exempts from weight decay."""
    marked = set()
    for prefix, module in model.named_modules():
        for name in getattr(module, "no_weight_decay", ()):
            owner, _, attribute = name.rpartition(".")
            try:
                # None is a parameter that this configuration goes without.
                found = getattr(module.get_submodule(owner), attribute)
            except AttributeError:
                raise ValueError(
                    f"{type(module).__name__}.no_weight_decay names {name!r}, which it does not have; "
                    "correct the name"
                ) from None
            if found is not None:
                marked.add(f"{prefix}.{name}" if prefix else name)
    return marked


def _layers_above(name: str, layered: dict[str, Layered]) -> int:
    """Count the layers between a parameter and the end of the innermost layered module around it."""
    owner = name
    while owner:
        owner = owner.rpartition(".")[0]
        module = layered.get(owner)
        if module is not None:
            return module.depth + 1 - module.layer_of(name[len(owner) + 1 :] if owner else name)
    return 0


def _shares(model: nn.Module) -> dict[str, float]:
    """Prefixes of modules that learn at a share of the rate."""
    shares: dict[str, float] = {}
    for prefix, module in model.named_modules():
        share = getattr(module, "lr_scale", None)
        if share is not None:
            if not share > 0:
                raise ValueError(
                    f"{type(module).__name__}.lr_scale must be positive, not {share}; freeze what must not learn"
                )
            shares[f"{prefix}." if prefix else ""] = float(share)
    return shares


def _share(name: str, shares: dict[str, float]) -> float:
    return math.prod(share for prefix, share in shares.items() if name.startswith(prefix))
