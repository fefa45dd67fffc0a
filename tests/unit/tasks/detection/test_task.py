"""The detector learns a few pictures by heart; precision is pycocotools' own."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.dense import SimpleFeaturePyramid
from onepeace_pl.metrics import LabelledResult
from onepeace_pl.modalities import AnySizeProcessor, ImageProcessor
from onepeace_pl.tasks.detection import AveragePrecision, CascadeRCNN, Detection
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule

SMALL = {"convolutions": 1, "width": 32, "anchor_scale": 4.0, "proposals": 32, "samples": 32}


def data() -> TriWorldTaskDataModule:
    from torchvision.transforms import v2

    return TriWorldTaskDataModule(
        "objects",
        ("image",),
        size=4,
        evaluation_size=4,
        image_size=64,
        processors={"image": AnySizeProcessor()},
        transform=JointTransform([v2.RandomHorizontalFlip(0.0)]),
        batch_size=4,
    )


def made(masks: bool = True, **options: object) -> tuple[Backbone, Detection, TriWorldTaskDataModule]:
    torch.manual_seed(0)
    backbone, module = from_preset("debug", ("image",), decoder=False), data()
    head = partial(CascadeRCNN, **SMALL, rpn_convolutions=1, **options)
    task = Detection(backbone, module.data_info, partial(SimpleFeaturePyramid, channels=32), head, masks)
    module.connect(task.needs)
    backbone.apply_stage(task.reads.modalities, stop_after=task.reads.stop_after)
    return backbone, task, module


@pytest.mark.parametrize("masks", [True, False])
def test_learns_by_heart(masks: bool) -> None:
    backbone, task, module = made(masks)
    (batch,) = module.train_dataloader()
    trained = [p for m in (backbone, task) for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    losses = []
    for _ in range(8):
        step = task(backbone, batch)
        optimizer.zero_grad()
        step.loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()
        losses.append(step.loss.item())
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    assert [name for name in step.logs if "mask" in name] == (["s0.loss_mask"] if masks else [])
    assert not [n for n, p in task.named_parameters() if p.grad is None]


@pytest.mark.parametrize("options", [{}, {"soft_nms": True}, {"score_masks": True}])
def test_detections_are_evaluated_and_predicted(options: dict[str, bool]) -> None:
    backbone, task, module = made(score_threshold=0.0, **options)
    backbone.eval(), task.eval()
    sets = module.evaluation_sets("validation")
    evaluator = task.evaluator(sets)
    (batch,) = module.val_dataloader()[0]
    with torch.no_grad():
        found = task.outputs(backbone, batch)
        evaluator.update(backbone, batch, 0)
        answers = task.predict(backbone, batch)
    metrics = evaluator.compute()
    assert {"box_AP", "box_AP50", "mask_AP", "triworld/mask_AP75"} <= metrics.keys()
    result = evaluator.results["triworld"]
    assert isinstance(result, LabelledResult)
    assert result.by_class is not None
    for kind in ("box", "mask"):
        classes = result.by_class.metrics[f"{kind} AP"].values
        assert np.nanmean(classes) == pytest.approx(metrics[f"{kind}_AP"])
        assert (np.isnan(classes) == (result.by_class.support == 0)).all()
    assert found[0]["masks"].shape[1:] == (64, 64)
    assert [d.shape for d in evaluator.drawings["triworld"]] == [
        (192, 384, 3)
    ] * 4  # found, and what is there
    assert all(0 <= value <= 64 for thing in answers[0]["objects"] for value in thing["box"])
    assert len(answers[0]["objects"]) == len(found[0]["scores"])
    assert answers[0]["drawing"].shape == (192, 192, 3)
    rows = [{"id": "7", **answers[0]}, {"id": "b", **answers[1]}]
    files = task.export(sets[0], rows)
    finds = json.loads(files["coco.json"])
    assert len(finds) == sum(len(answer["objects"]) for answer in answers[:2])
    thing = answers[0]["objects"][0]
    assert (finds[0]["image_id"], finds[-1]["image_id"]) == (7, "b")
    assert finds[0]["category_id"] == task.classes.index(thing["class"]) + 1
    assert finds[0]["segmentation"]["size"] == [64, 64]
    assert ("coco_masks.json" in files) == ("score_masks" in options)
    if "score_masks" in options:
        outlines = json.loads(files["coco_masks.json"])
        assert all(a["score"] <= b["score"] for a, b in zip(outlines, finds, strict=True))
        assert [o["score"] for o in outlines] == [t["mask_score"] for a in answers[:2] for t in a["objects"]]


def test_masks_are_scored_by_the_probability_inside() -> None:
    from onepeace_pl.tasks.detection.mask_head import mask_confidence

    shares = torch.tensor([[[0.9, 0.7], [0.2, 0.5]], [[0.1, 0.2], [0.3, 0.4]]])
    assert mask_confidence(shares).tolist() == pytest.approx([0.8, 0.0])


def test_mask_scores_order_masks_alone() -> None:
    """One object, one right detection and a wrong one: the order of their scores makes the precision 1 or a half."""
    there = {"boxes": torch.tensor([[0.0, 0.0, 20.0, 20.0]]), "classes": torch.tensor([0])}
    there |= {"crowd": torch.tensor([False]), "masks": torch.zeros(1, 50, 50, dtype=torch.bool)}
    there["masks"][0, :20, :20] = True
    wrong = torch.zeros(50, 50, dtype=torch.bool)
    wrong[30:, 30:] = True
    found = {
        "boxes": torch.tensor([[0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 50.0, 50.0]]),
        "classes": torch.tensor([0, 0]),
        "masks": torch.stack([there["masks"][0], wrong]),
        "scores": torch.tensor([0.9, 0.5]),
        "mask_scores": torch.tensor([0.4, 0.5]),
    }
    precision = AveragePrecision(1, masks=True)
    precision.update(0, (50, 50), found, there)
    metrics, _ = precision.compute()
    assert metrics["box_AP50"] == pytest.approx(1.0)
    assert metrics["mask_AP50"] == pytest.approx(0.5)


def test_detections_are_in_pixels_of_the_image_as_stored() -> None:
    backbone, task, module = made(score_threshold=0.0)
    backbone.eval(), task.eval()
    (batch,) = module.val_dataloader()[0]
    with torch.no_grad():
        plain = task.outputs(backbone, batch)
        batch.labels = [{**labels, "image_size": (128, 192)} for labels in batch.labels]
        larger = task.outputs(backbone, batch)
    scale = torch.tensor([2.0, 3.0, 2.0, 3.0])
    assert torch.allclose(larger[0]["boxes"], plain[0]["boxes"] * scale, atol=1e-3)
    assert larger[0]["masks"].shape[1:] == (192, 128)


def test_a_tile_that_holds_the_image_detects_the_same() -> None:
    backbone, task, module = made(score_threshold=0.0)
    backbone.eval(), task.eval()
    (batch,) = module.val_dataloader()[0]
    batch.labels = [{**labels, "image_size": (128, 192)} for labels in batch.labels]
    with torch.no_grad():
        whole = task.outputs(backbone, batch)
        task.tile, task.stride = 64, 64
        tiled = task.outputs(backbone, batch)
        task.tile, task.stride = 48, 16
        parts = task.outputs(backbone, batch)
    for one, other in zip(whole, tiled, strict=True):
        assert torch.allclose(one["boxes"], other["boxes"], atol=1e-3)
        assert torch.equal(one["classes"], other["classes"])
        assert (one["masks"] != other["masks"]).float().mean() < 0.03  # they are enlarged once drawn
    for found in parts:
        assert 0 < len(found["scores"]) <= 100
        assert found["masks"].shape == (len(found["scores"]), 192, 128)
        assert bool(found["boxes"][:, 2].max() > 96)  # of tiles on the right
        for box, mask in zip(found["boxes"], found["masks"], strict=True):
            if mask.any():
                ys, xs = mask.nonzero(as_tuple=True)
                assert xs.min() >= box[0] - 4
                assert xs.max() <= box[2] + 4
                assert ys.min() >= box[1] - 6
                assert ys.max() <= box[3] + 6


@pytest.mark.parametrize("stored", [(64, 64), (128, 192)])
def test_detections_of_several_tiles_are_merged(stored: tuple[int, int]) -> None:
    from onepeace_pl.tasks.detection.tiling import detect_in_tiles

    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 20:28, 18:30] = 1.0  # whole in four tiles
    picture[..., 56:62, 40:46] = 2.0  # whole in two

    def find(part: torch.Tensor) -> dict[str, torch.Tensor]:
        masks = torch.stack(
            [part[0, 0] == value for value in (1, 2) if (part == value).any()] or [part[0, 0] > 9]
        )
        seen = masks.flatten(1).any(1)
        masks = masks[seen]
        boxes = [
            [x.min(), y.min(), x.max() + 1, y.max() + 1] for y, x in (m.nonzero(as_tuple=True) for m in masks)
        ]
        values = torch.tensor([part[0, 0][mask].max().item() for mask in masks])
        return {
            "boxes": torch.tensor(boxes).float().view(-1, 4),
            "scores": values / 4,
            "classes": values.long() - 1,
            "masks": masks,
        }

    found = detect_in_tiles(find, picture, stored, 32, 16, 0.5, 100)
    wide, high = stored[0] / 64, stored[1] / 64
    assert found["classes"].tolist() == [1, 0]
    expected = [[40 * wide, 56 * high, 46 * wide, 62 * high], [18 * wide, 20 * high, 30 * wide, 28 * high]]
    assert found["boxes"].tolist() == expected
    sizes = [int(mask.sum()) for mask in found["masks"]]
    assert sizes == pytest.approx([36 * wide * high, 96 * wide * high], abs=4)  # corners are rounded
    assert detect_in_tiles(find, picture, stored, 32, 16, 0.5, 1)["classes"].tolist() == [1]
    empty = detect_in_tiles(find, torch.zeros(1, 3, 64, 64), stored, 32, 16, 0.5, 100)
    assert empty["masks"].shape == (0, stored[1], stored[0])


def test_bad_tiles() -> None:
    with pytest.raises(ValueError, match="tile=40 must be a multiple of 16 pixels"):
        Detection(
            from_preset("debug", ("image",), decoder=False),
            data().data_info,
            SimpleFeaturePyramid,
            CascadeRCNN,
            tile=40,
        )


def test_a_picture_without_objects_trains() -> None:
    backbone, task, module = made()
    (batch,) = module.train_dataloader()
    batch.targets[0] = {name: tensor[:0] for name, tensor in batch.targets[0].items()}
    step = task(backbone, batch)
    step.loss.backward()
    assert torch.isfinite(step.loss)
    batch.targets = [{name: tensor[:0] for name, tensor in each.items()} for each in batch.targets]
    assert torch.isfinite(task(backbone, batch).loss)


def test_a_crowd_is_no_background() -> None:
    from mmengine.structures import InstanceData

    _, task, _ = made(masks=False)
    there = InstanceData(bboxes=torch.tensor([[0.0, 0.0, 16.0, 16.0]]), labels=torch.tensor([0]))
    crowd = InstanceData(bboxes=torch.tensor([[32.0, 32.0, 64.0, 64.0]]))
    regions = InstanceData(priors=torch.tensor([[0.0, 0, 16, 16], [40, 40, 60, 60], [0, 40, 20, 60]]))
    for assigner in (task.head.rpn.assigner, *task.head.roi.bbox_assigner):
        # the object, neither one nor the other, background
        assert assigner.assign(regions, there, crowd).gt_inds.tolist() == [1, -1, 0]


def test_bfloat16() -> None:
    backbone, task, module = made()
    (batch,) = module.train_dataloader()
    exact = task(backbone, batch).loss
    with torch.autocast("cpu", torch.bfloat16):
        rounded = task(backbone, batch).loss
    rounded.backward()
    assert rounded.item() == pytest.approx(exact.item(), rel=0.3)  # other regions are drawn


def test_precision_is_pycocotools_own() -> None:
    """Against results and annotations that are written down in COCO's format here."""
    from pycocotools import mask as coco
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    precision = AveragePrecision(3, masks=True)
    truth: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": i + 1, "name": str(i)} for i in range(3)]
    results = []
    for picture in range(6):
        truth["images"].append({"id": picture, "width": 120, "height": 100})
        kinds = {}
        for name, count in (("there", picture), ("found", 5)):  # the first picture has no object
            corners = rng.uniform(0, 60, (count, 2))
            boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], 1).astype(np.float32)
            masks = np.zeros((count, 100, 120), np.bool_)
            for mask, (x0, y0, x1, y1) in zip(masks, boxes.astype(int), strict=True):
                mask[y0:y1, x0:x1] = True
            kinds[name] = (boxes, rng.integers(0, 3, count), masks)
        near = kinds["there"][0] + rng.normal(0, 1.5, kinds["there"][0].shape)  # some detections are good
        found = (
            np.concatenate([kinds["found"][0], near.astype(np.float32)]),
            np.concatenate([kinds["found"][1], kinds["there"][1]]),
            np.concatenate([kinds["found"][2], kinds["there"][2]]),
        )
        scores = rng.uniform(0, 1, len(found[0])).astype(np.float32)
        crowd = rng.uniform(0, 1, len(kinds["there"][0])) < 0.2
        tensors = [
            {"boxes": torch.from_numpy(b), "classes": torch.from_numpy(c), "masks": torch.from_numpy(m)}
            for b, c, m in (found, kinds["there"])
        ]
        precision.update(
            picture,
            (120, 100),
            tensors[0] | {"scores": torch.from_numpy(scores)},
            tensors[1] | {"crowd": torch.from_numpy(crowd)},
        )
        for place, (box, kind, mask) in enumerate(zip(*found, strict=True)):
            results.append(_note(picture, box, kind, mask) | {"score": float(scores[place])})
        for place, (box, kind, mask) in enumerate(zip(*kinds["there"], strict=True)):
            note = _note(picture, box, kind, mask)
            note |= {"id": len(truth["annotations"]) + 1, "iscrowd": int(crowd[place])}
            truth["annotations"].append(note | {"area": float(coco.area(note["segmentation"]))})
    metrics, _ = precision.compute()
    given = COCO()
    given.dataset = truth | {"info": {}}
    given.createIndex()
    for kind, name in (("bbox", "box"), ("segm", "mask")):
        mine = [{k: v for k, v in r.items() if kind == "segm" or k != "segmentation"} for r in results]
        counted = COCOeval(given, given.loadRes(mine), kind)
        counted.evaluate(), counted.accumulate(), counted.summarize()
        assert metrics[f"{name}_AP"] == pytest.approx(counted.stats[0])
        assert metrics[f"{name}_AP50"] == pytest.approx(counted.stats[1])
        assert metrics[f"{name}_AP_medium"] == pytest.approx(counted.stats[4])
        assert 0.05 < metrics[f"{name}_AP"] < 0.95


def _note(picture: int, box: np.ndarray, kind: int, mask: np.ndarray) -> dict[str, object]:
    from pycocotools import mask as coco

    x0, y0, x1, y1 = map(float, box)
    return {
        "image_id": picture,
        "category_id": int(kind) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "segmentation": coco.encode(np.asfortranarray(mask.astype(np.uint8))),
    }


def test_bad_input() -> None:
    _, task, _ = made()
    with pytest.raises(ValueError, match="ImageProcessor changes images without their labels"):
        check_compatible(task.needs, replace(data().offer("fit"), processors={"image": ImageProcessor(64)}))
    with pytest.raises(ValueError, match=r"maps of \[8, 8\] channels for strides \[4, 8, 16, 32, 64\]"):
        CascadeRCNN([8, 8], 3)


@pytest.mark.parametrize("name", ["boxes", "scores"])
def test_detections_that_are_not_finite_are_refused(name: str) -> None:
    things = {"boxes": torch.ones(1, 4), "classes": torch.zeros(1), "crowd": torch.zeros(1)}
    found = {**things, "scores": torch.ones(1)}
    found[name] = found[name] * float("nan")
    with pytest.raises(ValueError, match=f"image 3: {name} that are not finite"):
        AveragePrecision(1, masks=False).update(3, (50, 50), found, things)
