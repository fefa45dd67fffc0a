"""A few rows with targets for tasks of one answer each, and a few steps of training on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.task import SupervisedTask

from ..samples import fields, make


class Three(Source):
    """A source of three rows, of which only the number is asked."""

    modalities = ("text",)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int, /) -> Row:
        return Row("abc"[index], {"text": f"row {index}"})


def backbone(*modalities: str, **options: Any) -> Backbone:
    made = make(modalities, decoder=False, noise=0.0, layer_scale=0.3, init_std=0.1, **options)
    return made


def batch(
    modalities: tuple[str, ...],
    targets: Tensor | None,
    labels: list[dict[str, Any]] | None = None,
    **replaced: ModalityInput,
) -> Batch:
    inputs = {**fields(modalities), **replaced}
    return Batch(list("abc"), torch.arange(3), 0, inputs, {}, labels=labels or [{}] * 3, targets=targets)


def fit(
    task: SupervisedTask, model: Backbone, given: Batch, steps: int = 30, lr: float = 3e-3
) -> list[float]:
    """Train on one batch; return the losses."""
    torch.manual_seed(0)
    model.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    chosen = [p for p in (*model.parameters(), *task.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(chosen, lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = task(model, given).loss
        loss.backward()
        assert all(p.grad is not None for p in chosen)
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def evaluated(task: SupervisedTask, model: Backbone, *given: Batch) -> Evaluator:
    """Return an evaluator that has taken in batches and computed."""
    evaluator = task.evaluator([EvaluationSet(name="three", rows=Three())])
    for each in given:
        evaluator.update(model, each, 0)
    evaluator.compute()
    return evaluator


@torch.no_grad()
def measure(task: SupervisedTask, model: Backbone, given: Batch) -> dict[str, float]:
    return evaluated(task, model, given).compute()
