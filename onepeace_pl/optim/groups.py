"""Parameter groups with weight-decay exemptions and layer-wise learning-rate decay.

Modules declare what they need by three protocols: :class:`Layered` (layer of each parameter), :class:`NoWeightDecay`
(names of exempt parameters, timm's convention) and :class:`ScaledLearningRate`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

from onepeace_pl.errors import UserError

BuildOptimizer = Callable[[Iterable[dict[str, Any]]], Optimizer]


@runtime_checkable
class Layered(Protocol):
    """A module of consecutive layers, for layer-wise learning-rate decay."""

    @property
    def depth(self) -> int:
        """Number of layers, without embeddings and final layers."""

    def layer_of(self, name: str) -> int:
        """Return the layer of a parameter: 0 embeddings, 1..depth layers, depth + 1 final layers."""


@runtime_checkable
class NoWeightDecay(Protocol):
    """A module with parameters that are exempt from weight decay."""

    no_weight_decay: frozenset[str]


@runtime_checkable
class ScaledLearningRate(Protocol):
    """A module whose parameters have a fraction of the learning rate."""

    lr_scale: float


def parameter_groups(model: nn.Module, layer_decay: float = 1.0) -> list[dict[str, object]]:
    """Return optimiser parameter groups of a model's trainable parameters.

    Vectors, scalars, biases and ``no_weight_decay`` parameters have no weight decay. The learning rate of a parameter
    in layer i of a :class:`Layered` module is scaled by ``layer_decay ** (depth + 1 - i)``, that of parameters outside
    any such module (heads) by 1, and both by the ``lr_scale`` of every enclosing module.

    Args:
        model: The model; frozen parameters are skipped.
        layer_decay: Ratio of the learning rates of consecutive layers, in (0, 1].

    Returns:
        Groups with ``params``, ``name`` (for logs), ``lr_scale`` and, for exempt parameters only,
        ``weight_decay = 0.0``, in order of the learning rate.

    Raises:
        UserError: ``layer_decay`` is out of range, an ``lr_scale`` is not positive, or nothing is trainable.
        UserError: A module exempts a parameter that it does not have.

    Source: arXiv 2305.11172, appendix (fine-tuning settings).
    """
    if not 0.0 < layer_decay <= 1.0:
        raise UserError(f"layer_decay must be in (0, 1], not {layer_decay}")
    exempt = _exempt(model)
    layered = {prefix: module for prefix, module in model.named_modules() if isinstance(module, Layered)}
    scales = _lr_scales(model)
    members: dict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        scale = layer_decay ** _layers_above(name, layered) * _lr_scale(name, scales)
        decays = parameter.ndim > 1 and name.rpartition(".")[2] != "bias" and name not in exempt
        members[scale, decays].append(parameter)
    if not members:
        raise UserError("no parameter requires a gradient: choose a stage that trains something")
    groups = []
    for scale, decays in sorted(members):
        label = f"x{scale:.4g}" if layer_decay < 1 or scales else "all"
        group: dict[str, object] = {"params": members[scale, decays], "name": label, "lr_scale": scale}
        if not decays:
            group |= {"name": f"{label}-no-decay", "weight_decay": 0.0}
        groups.append(group)
    return groups


def build_optimizer(model: nn.Module, optimizer: BuildOptimizer, layer_decay: float = 1.0) -> Optimizer:
    """Build an optimiser over :func:`parameter_groups`, each at its scaled learning rate.

    Args:
        model: The model.
        optimizer: Optimiser factory, such as ``functools.partial(torch.optim.AdamW, lr=5e-4)``.
        layer_decay: See :func:`parameter_groups`.

    Returns:
        The optimiser; each group keeps its ``lr_scale``, for learning-rate schedules.

    Raises:
        UserError: An option of the optimiser is invalid.
    """
    groups = parameter_groups(model, layer_decay)
    try:
        built = optimizer(groups)
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer: {error}") from error
    for group in built.param_groups:
        group["lr"] *= group["lr_scale"]
    return built


def _exempt(model: nn.Module) -> set[str]:
    """Return the full names of parameters that are exempt from weight decay."""
    exempt = set()
    for prefix, module in model.named_modules():
        for name in module.no_weight_decay if isinstance(module, NoWeightDecay) else ():
            owner, _, attribute = name.rpartition(".")
            try:
                # None: a parameter that this configuration does not have
                parameter = getattr(module.get_submodule(owner), attribute)
            except AttributeError:
                raise UserError(
                    f"{type(module).__name__}.no_weight_decay names {name!r}, which it does not have; "
                    "correct the name"
                ) from None
            if parameter is not None:
                exempt.add(f"{prefix}.{name}" if prefix else name)
    return exempt


def _layers_above(name: str, layered: dict[str, Layered]) -> int:
    """Return the number of layers between a parameter and the end of its innermost layered module."""
    owner = name
    while owner:
        owner = owner.rpartition(".")[0]
        module = layered.get(owner)
        if module is not None:
            return module.depth + 1 - module.layer_of(name[len(owner) + 1 :] if owner else name)
    return 0


def _lr_scales(model: nn.Module) -> dict[str, float]:
    """Return prefix -> ``lr_scale`` of modules that have one."""
    scales: dict[str, float] = {}
    for prefix, module in model.named_modules():
        if isinstance(module, ScaledLearningRate):
            if not module.lr_scale > 0:
                raise UserError(
                    f"{type(module).__name__}.lr_scale must be positive, not {module.lr_scale}; freeze parameters "
                    "that must not learn"
                )
            scales[f"{prefix}." if prefix else ""] = float(module.lr_scale)
    return scales


def _lr_scale(name: str, scales: dict[str, float]) -> float:
    return math.prod(scale for prefix, scale in scales.items() if name.startswith(prefix))
