"""Both heads learn a few pictures by heart; metrics are mmsegmentation's."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.dense import BlockFeaturePyramid, ViTAdapter
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor
from onepeace_pl.tasks.segmentation import Inference, Mask2Former, Segmentation, UPerNet
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule
from onepeace_pl.triworld.image.regions import SEMANTIC_CLASSES

HEADS = {
    "upernet": partial(UPerNet, width=32, dropout=0.0),
    "mask2former": partial(
        Mask2Former, width=32, queries=12, heads=4, encoder_layers=1, decoder_layers=2, points=256
    ),
}
NECKS = {"upernet": BlockFeaturePyramid, "mask2former": partial(ViTAdapter, channels=8)}


def data() -> TriWorldTaskDataModule:
    from torchvision.transforms import v2

    return TriWorldTaskDataModule(
        "mask",
        ("image",),
        size=4,
        evaluation_size=4,
        image_size=64,
        processors={"image": AnySizeProcessor()},
        transform=JointTransform([v2.RandomHorizontalFlip(0.0)]),
        batch_size=4,
    )


def made(head: str, **options: object) -> tuple[Backbone, Segmentation, TriWorldTaskDataModule]:
    torch.manual_seed(0)
    backbone, module = from_preset("debug", ("image",), decoder=False), data()
    task = Segmentation(backbone, module.data_info, NECKS[head], HEADS[head], **options)
    module.connect(task.needs)
    backbone.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    return backbone, task, module


@pytest.mark.parametrize("head", HEADS)
def test_learns_by_heart(head: str) -> None:
    backbone, task, module = made(head)
    (batch,) = module.train_dataloader()
    assert batch.inputs["image"].values.shape == (4, 3, 64, 64)
    assert [m.shape for m in batch.targets] == [(64, 64)] * 4
    trained = [p for m in (backbone, task) for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses, right = [], []
    for _ in range(14):
        step = task(backbone, batch)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        losses.append(step.loss.item())
        right.append(step.logs["aAcc"].item())
    assert losses[-1] < 0.7 * losses[0]
    assert right[-1] > right[0]
    assert right[-1] > 0.6
    unread = [n for n, p in task.named_parameters() if p.grad is None]
    assert not [n for n in unread if "conv_seg" not in n and "query" not in n], unread


def test_metrics_are_those_of_mmseg() -> None:
    backbone, task, module = made("upernet")
    backbone.eval(), task.eval()
    (rows,) = module.evaluation_sets("validation")
    masks = [torch.from_numpy(rows.rows[i].labels["mask"]).long() for i in range(4)]
    evaluator = task.evaluator([rows])
    (batch,) = module.val_dataloader()[0]
    with torch.no_grad():
        found = task.outputs(backbone, batch)
        evaluator.update(backbone, batch, 0)
    metrics = evaluator.compute()

    from mmseg.evaluation.metrics import IoUMetric

    theirs = IoUMetric(iou_metrics=["mIoU"])
    theirs.dataset_meta = {"classes": SEMANTIC_CLASSES}
    for seen, mask in zip(found, masks, strict=True):
        sample = {"pred_sem_seg": {"data": seen[None]}, "gt_sem_seg": {"data": mask[None]}}
        theirs.process({}, [sample])
    expected = theirs.evaluate(4)
    for name in ("mIoU", "mAcc", "aAcc"):
        assert metrics[name] * 100 == pytest.approx(expected[name], abs=0.006), name  # theirs has two digits
    assert set(evaluator.results) == {"triworld"}
    result = evaluator.results["triworld"]
    assert isinstance(result, LabelledResult)
    assert result.by_class is not None
    classes = result.by_class.metrics
    assert np.nanmean(classes["IoU"].values) == pytest.approx(metrics["mIoU"])
    assert np.nanmean(classes["recall"].values) == pytest.approx(metrics["mAcc"])
    assert (
        result.by_class.support.tolist()
        == torch.bincount(torch.stack(masks).flatten(), minlength=20).tolist()
    )
    assert [d.shape for d in evaluator.drawings["triworld"]] == [(64, 128, 3)] * 4  # found, and what is there


def test_pictures_of_other_sizes_and_tiles() -> None:
    backbone, task, module = made("upernet", inference=Inference(tile=32, stride=16))
    backbone.eval(), task.eval()
    (batch,) = module.val_dataloader()[0]
    labels = [dict(each) for each in batch.labels]
    labels[0] |= {"input_size": (48, 40), "image_size": (96, 80)}  # shown smaller than it is stored
    odd = copy.copy(batch)
    odd.labels = labels
    with torch.no_grad():
        found = task.outputs(backbone, odd)
    assert [tuple(f.shape) for f in found] == [(80, 96), (64, 64), (64, 64), (64, 64)]
    answers = task.predictions(found, odd)
    assert sum(answers[0]["shares"].values()) == pytest.approx(1, abs=1e-4)


def test_bad_input() -> None:
    _, task, module = made("upernet")
    offer = module.offer("fit")
    check_compatible(task.needs, offer)
    with pytest.raises(ValueError, match="ImageProcessor changes images without their labels"):
        check_compatible(task.needs, replace(offer, processors={"image": ImageProcessor(64)}))
    backbone = from_preset("debug", ("image",), decoder=False)
    with pytest.raises(ValueError, match="names no classes"):
        Segmentation(backbone, DataInfo(), BlockFeaturePyramid, HEADS["upernet"])


def test_data_must_say_how_large_its_pictures_are() -> None:
    _, task, module = made("upernet")
    module.transform = None
    with pytest.raises(ValueError, match="TriWorldTaskDataModule has no transform"):
        check_compatible(task.needs, module.offer("fit"))


def test_a_mask_without_any_class_trains() -> None:
    for head in HEADS:
        backbone, task, module = made(head)
        (batch,) = module.train_dataloader()
        batch.targets = [torch.full_like(m, 255) for m in batch.targets]
        loss = task(backbone, batch).loss
        loss.backward()
        assert np.isfinite(loss.item())
