"""Optimisation: AdamW, parameter groups with layer-wise learning-rate decay, learning-rate schedules."""

from onepeace_pl.optim.adamw import AdamW
from onepeace_pl.optim.groups import BuildOptimizer, Layered, build_optimizer, parameter_groups
from onepeace_pl.optim.schedule import Schedule, WarmupCosine, WarmupPolynomial, WarmupSteps

__all__ = [
    "AdamW",
    "BuildOptimizer",
    "Layered",
    "Schedule",
    "WarmupCosine",
    "WarmupPolynomial",
    "WarmupSteps",
    "build_optimizer",
    "parameter_groups",
]
