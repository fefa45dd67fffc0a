"""The task around the adapters: rates, views of one clip, errors, learning."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.source import Source
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.optim import build_optimizer
from onepeace_pl.tasks.video import VideoClassification

from ...samples import make

CLASSES = tuple("abcdefg")


def build(**options: Any) -> tuple[Backbone, VideoClassification]:
    backbone = make(("image",), decoder=False, noise=0.02, stage="frozen", layer_scale=0.5)
    task = VideoClassification(backbone, DataInfo(classes=CLASSES), **{"frames": 2} | options)
    backbone.apply_stage(task.reads.modalities, task.reads.reconstructs, task.reads.stop_after)
    return backbone, task


def batch(values: Tensor, ids: list[str], targets: list[int], first: int = 0) -> Batch:
    numbers = torch.arange(first, first + len(ids))
    return Batch(
        ids,
        numbers,
        0,
        {"image": ModalityInput(values)},
        {},
        labels=[{}] * len(ids),
        targets=torch.tensor(targets),
    )


def test_rates_and_decay() -> None:
    backbone, task = build(adapter_rate=0.1)
    model = nn.ModuleDict({"backbone": backbone, "task": task})
    names = {id(p): name for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, partial(torch.optim.AdamW, lr=3e-4, weight_decay=0.05))
    found = {names[id(p)]: g for g in optimizer.param_groups for p in g["params"]}
    assert set(found) == {f"task.{name}" for name, _ in task.named_parameters()}
    for name, group in found.items():
        assert group["lr"] == pytest.approx(3e-4 if name.startswith("task.head.") else 3e-5), name
    decaying = {name for name, group in found.items() if group["weight_decay"]}
    assert "task.space_time.temporal_embedding" not in decaying
    assert {"task.head.linear.weight", "task.space_time.layers.0.time.up.weight"} <= decaying


class Rows(Source):
    modalities = ("image",)

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("nothing is read here")


def test_views_of_one_clip_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, task = build()
    probabilities = {  # of each view
        ("x", 0): [0.9, 0.1, 0, 0, 0, 0, 0],
        ("x", 1): [0.4, 0.6, 0, 0, 0, 0, 0],  # wrong by itself
        ("y", 0): [0.0, 0.0, 0.2, 0.2, 0.2, 0.3, 0.1],
        ("y", 1): [0.0, 0.0, 0.2, 0.2, 0.3, 0.2, 0.1],
        ("z", 0): [0.1, 0.2, 0.2, 0.2, 0.15, 0.15, 0.0],  # right only among the best five
    }
    targets = {"x": 0, "y": 6, "z": 4}
    rows = list(probabilities)
    evaluator = task.evaluator([EvaluationSet(name="k400", rows=Rows(len(rows)))])
    for start in (0, 3):  # a clip's views come in different batches
        part = rows[start : start + 3]
        logits = torch.tensor([probabilities[key] for key in part]).clamp(min=1e-9).log()
        monkeypatch.setattr(task, "outputs", lambda *_, logits=logits: logits)
        ids = [key[0] for key in part]
        made = batch(torch.zeros(0), ids, [targets[id] for id in ids], start)
        evaluator.update(backbone, made, 0)
    metrics = evaluator.compute()
    assert metrics["k400/accuracy"] == pytest.approx(1 / 3)
    assert metrics["accuracy_top5"] == pytest.approx(1.0)
    assert evaluator.results["k400"].rows == len(rows)
    by_class = evaluator.results["k400"].by_class
    assert by_class is not None
    assert by_class.support.tolist() == [1, 0, 0, 0, 1, 0, 1], "clips, not views"
    assert not evaluator.results["k400"].partial


def test_learns_direction() -> None:
    """Two clips of the same frames in opposite order: only time tells them apart."""
    backbone, task = build(dropout=0.0, adapter_rate=1.0)
    torch.manual_seed(0)
    frames = torch.randn(2, 3, 64, 64)
    made = batch(torch.cat([frames, frames.flip(0)]), ["a", "b"], [0, 1])
    optimizer = build_optimizer(task, partial(torch.optim.AdamW, lr=3e-2))
    for _ in range(100):
        optimizer.zero_grad()
        step = task(backbone, made)
        step.loss.backward()
        optimizer.step()
    assert step.loss < 0.1
    assert step.logs["accuracy"] == 1
    assert [answer["class"] for answer in task.predict(backbone, made)] == ["a", "b"]


def test_reads_the_class_by_name_or_number() -> None:
    _, task = build()
    assert task.needs.target({"class": "c"}) == np.array(2)
    assert task.needs.target({"class": 3}) == np.array(3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"modality": "film"}, "no modality 'film'"),
        ({"frames": 0}, "frames=0"),
        ({"adapter_rate": 0.0}, r"adapter_rate=0\.0"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(**options)


def test_another_number_of_frames_is_refused() -> None:
    backbone, task = build()
    with pytest.raises(ValueError, match=r"3 values of image a row, and the task reads 2; set model\.task"):
        task.outputs(backbone, batch(torch.zeros(6, 3, 64, 64), ["a", "b"], [0, 1]))
