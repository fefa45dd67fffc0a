"""Memory, speed and recall of a model by the weights that it is loaded with."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import get_args

import numpy as np
import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.benchmarks.timing import Clock, in_turns
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.hub import OnePeace, Weights
from onepeace_pl.hub.weights import dtype_of_weights, quantize_weights
from onepeace_pl.metrics.bootstrap import Interval, mean_interval
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.training.evaluation import evaluate_retrieval

KINDS: tuple[Weights, ...] = get_args(Weights)


@dataclass(frozen=True)
class Speed:
    """Time of a forward pass.

    Attributes:
        milliseconds: Median of the rounds.
        ratio: Median over rounds of the time with these weights by that with float32; below 1 they are faster.
        low: Lower quartile.
        high: Upper quartile.
    """

    milliseconds: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Recall:
    """R@1 of a direction.

    Attributes:
        value: Over queries, with its interval.
        difference: To that with float32, paired by query.
    """

    value: Interval
    difference: Interval


@dataclass
class WeightsCost:
    """Memory and speed of one kind of weights.

    Attributes:
        weights: The kind.
        bytes: Of the encoder's parameters.
        blocks: Of those of its transformer blocks.
        speed: By modality.
    """

    weights: Weights
    bytes: int
    blocks: int
    speed: dict[str, Speed] = field(default_factory=dict)


def with_weights(backbone: Backbone, weights: Weights) -> Backbone:
    """Return a copy of a backbone with such weights, as :meth:`OnePeace.from_pretrained` loads them."""
    made = copy.deepcopy(backbone).to(dtype=dtype_of_weights(weights, None)).eval()
    if weights == "int8":
        quantize_weights(made)
    return made


@torch.no_grad()
def costs_of_weights(
    backbones: Mapping[Weights, Backbone],
    inputs: Mapping[str, ModalityInput],
    rounds: int = 15,
    clock: Clock = "wall",
) -> list[WeightsCost]:
    """Measure memory, and the time of a forward pass of each modality; kinds of weights take turns.

    Args:
        backbones: The same backbone by kind of weights, ``float32`` among them.
        inputs: A batch of each modality, in float32.
        rounds: Passes that count.
        clock: See :func:`~onepeace_pl.benchmarks.timing.in_turns`.
    """
    results = {
        kind: WeightsCost(kind, _bytes(backbone.encoder), _bytes(backbone.encoder.transformer.blocks))
        for kind, backbone in backbones.items()
    }
    for name, given in inputs.items():
        calls = [partial(backbone.embed, {name: given}) for backbone in backbones.values()]
        times = dict(zip(backbones, in_turns(calls, rounds, clock), strict=True))
        for kind, own in times.items():
            ratios = [mine / whole for mine, whole in zip(own, times["float32"], strict=True)]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
            results[kind].speed[name] = Speed(statistics.median(own), middle, low, high)
    return list(results.values())


def recall_by_weights(
    models: Mapping[Weights, OnePeace], galleries: Sequence[Gallery], batch_size: int = 32
) -> dict[str, dict[Weights, dict[str, Recall]]]:
    """Return R@1 by gallery, kind of weights and direction, with the paired difference to float32.

    Args:
        models: The same model by kind of weights, ``float32`` among them.
        galleries: Galleries of the same rows.
        batch_size: Rows of a batch.
    """
    found = {
        kind: evaluate_retrieval(model, galleries, batch_size=batch_size) for kind, model in models.items()
    }
    recall: dict[str, dict[Weights, dict[str, Recall]]] = {}
    for gallery, whole in found["float32"].items():
        recall[gallery] = {}
        for kind, results in found.items():
            hits = {name: each.ranks <= 1 for name, each in results[gallery].directions.items()}
            before = {name: each.ranks <= 1 for name, each in whole.directions.items()}
            recall[gallery][kind] = {
                name: Recall(mean_interval(own), mean_interval(own.astype(np.float64) - before[name]))
                for name, own in hits.items()
            }
    return recall


def random_inputs(backbone: Backbone, batch: int) -> dict[str, ModalityInput]:
    """Return a random batch of each modality whose adapter makes random values, on the backbone's device."""
    generator, inputs = torch.Generator().manual_seed(0), {}
    for name in backbone.modalities:
        values = backbone.encoder.adapter(name).random_values(batch, generator)
        if values is not None:
            inputs[name] = ModalityInput(values.to(backbone.logit_scale.device))
    return inputs


def table(
    costs: Sequence[WeightsCost], recall: Mapping[Weights, Mapping[str, Recall]] | None = None
) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    directions = list(recall["float32"]) if recall else []
    heads = ["weights", "MB", "MB of blocks", *(f"{name}: ms, ratio" for name in costs[0].speed)]
    for name in directions:
        heads += [f"R@1 {name}", "difference"]
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'---:|' * (len(heads) - 1)}"
    for cost in costs:
        cells = [cost.weights, f"{cost.bytes / 1e6:,.1f}", f"{cost.blocks / 1e6:,.1f}"]
        cells += [
            f"{s.milliseconds:,.1f}, {s.ratio:.2f} [{s.low:.2f} .. {s.high:.2f}]" for s in cost.speed.values()
        ]
        for name in directions:
            assert recall is not None
            own = recall[cost.weights][name]
            cells += [_interval(own.value, ".3f"), _interval(own.difference, "+.3f")]
        yield f"| {' | '.join(cells)} |"


def _interval(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _bytes(module: torch.nn.Module) -> int:
    return sum(each.nbytes for each in module.parameters())
