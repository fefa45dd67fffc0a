"""Cascade Mask R-CNN in the style of ViTDet, of mmdetection's own heads (spec: tasks, section 14).

Shapes: B batch, N objects, H and W height and width of the pictures as given.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onepeace_pl.modalities.image.adapter import ChannelNorm

Targets = list[dict[str, Tensor]]
Sizes = list[tuple[int, int]]  # width and height of each picture, without padding


class CascadeRCNN(nn.Module):
    """Proposes regions, then finds their classes and boxes in three steps, and their outlines.

    Args:
        channels: Of the maps, all alike; the last map is for proposals alone.
        classes: Number of classes.
        masks: Whether outlines are found.
        overlaps: From which overlap on a region counts as an object, step by step.
        convolutions: Of a box head, before its linear layer.
        width: Of that linear layer.
        strides: Pixels of a cell, map by map.
        anchor_scale: Side of an anchor in cells.
        proposals: Regions that are looked at, in training and outside.
        samples: Regions of a picture that a step learns from.
        rpn_convolutions: Of the head that proposes.
        score: Smallest score of what is found.
        soft: Lower the scores of what better finds cover, instead of dropping it.
        suppression: Overlap from which a find is covered.
        most: Greatest number of finds in a picture.
        rescored: Outlines have scores of their own, ``mask_scores``: how sure the mask head is counts, too.
    """

    of_classes = ("fc_cls", "conv_logits")

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        masks: bool = True,
        overlaps: Sequence[float] = (0.5, 0.6, 0.7),
        convolutions: int = 4,
        width: int = 1024,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        anchor_scale: float = 8.0,
        proposals: int = 1000,
        samples: int = 512,
        rpn_convolutions: int = 2,
        score: float = 0.05,
        soft: bool = False,
        suppression: float = 0.5,
        most: int = 100,
        rescored: bool = False,
    ) -> None:
        super().__init__()
        if len(channels) != len(strides) or len(set(channels)) != 1:
            raise ValueError(
                f"maps of {list(channels)} channels for strides {list(strides)}: give one for each, all alike"
            )
        from onepeace_pl.integrations.openmmlab import init_weights, prepare

        prepare()
        from mmdet.registry import MODELS
        from mmengine.config import ConfigDict
        from mmengine.registry import DefaultScope

        MODELS.register_module("LN2d", module=ChannelNorm, force=True)
        suppress: dict[str, Any] = {"type": "nms", "iou_threshold": suppression}
        if soft:
            suppress = {
                "type": "soft_nms",
                "iou_threshold": suppression,
                "method": "linear",
                "min_score": 1e-3,
            }
        rpn = _rpn(channels[0], strides, anchor_scale, rpn_convolutions, proposals)
        self._proposing = ConfigDict(rpn.pop("proposing"))
        roi = _roi(channels[0], classes, masks, overlaps, convolutions, width, strides[:-1], samples)
        if masks:
            from onepeace_pl.tasks.detection.outlines import OneMaskRoIHead, SureMaskHead

            roi["type"] = OneMaskRoIHead
            if rescored:
                roi["mask_head"]["type"] = SureMaskHead
        roi["test_cfg"] = {
            "score_thr": score,
            "nms": suppress,
            "max_per_img": most,
            "mask_thr_binary": 0.5,
        }
        self.classes, self.masks, self.stride = classes, masks, strides[0]
        self.rescored = masks and rescored
        self.keeps = (suppression, most)  # what a find may share with a better one, and how many there may be
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.rpn = MODELS.build(ConfigDict(rpn))
            self.roi = MODELS.build(ConfigDict(roi))
        for head in (self.rpn, self.roi):
            init_weights(head)

    def forward(
        self, maps: list[Tensor], sizes: Sizes, targets: Targets | None = None, stored: Sizes | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Return the parts of the loss, or without targets what is found in each picture.

        Boxes are computed in float32, whatever the precision of the run: bfloat16 knows no odd pixels beyond 256.

        Args:
            maps: Of the neck.
            sizes: Of the pictures as given.
            targets: ``boxes`` (N, 4) in pixels of the pictures as given, ``classes``, ``masks`` where they are found.
            stored: Of the pictures as stored, in whose pixels finds are told.

        Returns:
            Finds have ``boxes`` (N, 4), ``scores``, ``classes``, and ``masks`` (N, H, W) bool, with ``mask_scores``
            where outlines are rescored.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            given = [image.float().contiguous() for image in maps]
            if targets is not None:
                return self._loss(given, sizes, targets)
            return self._find(given, sizes, stored or sizes)

    def _loss(self, maps: list[Tensor], sizes: Sizes, targets: Targets) -> dict[str, Tensor]:
        samples = _samples(self._padded(maps), sizes, sizes, targets, self.masks)
        losses, proposals = self.rpn.loss_and_predict(maps, _without_classes(samples), self._proposing)
        losses = {f"rpn_{name.removeprefix('loss_')}": value for name, value in losses.items()}
        losses |= self.roi.loss(maps, proposals, samples)
        return {
            name: torch.stack(value).sum() if isinstance(value, list) else value.sum()
            for name, value in losses.items()
            if "acc" not in name
        }

    def _find(self, maps: list[Tensor], sizes: Sizes, stored: Sizes) -> list[dict[str, Tensor]]:
        samples = _samples(self._padded(maps), sizes, stored)
        proposals = self.rpn.predict(maps, samples, rescale=False)
        found = self.roi.predict(maps, proposals, samples, rescale=True)
        return [
            {
                "boxes": each.bboxes,
                "scores": each.scores,
                "classes": each.labels,
                **({"masks": each.masks} if self.masks else {}),
                # where there is no find at all the mask head is not asked
                **({"mask_scores": each.get("mask_scores", each.scores)} if self.rescored else {}),
            }
            for each in found
        ]

    def _padded(self, maps: list[Tensor]) -> tuple[int, int]:
        """Return height and width of the batch's pictures."""
        return maps[0].shape[-2] * self.stride, maps[0].shape[-1] * self.stride


def _samples(
    padded: tuple[int, int],
    sizes: Sizes,
    stored: Sizes,
    targets: Targets | None = None,
    masks: bool = False,
) -> list[Any]:
    """Return mmdetection's records of the pictures."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    made = []
    for number, ((width, height), (own_width, own_height)) in enumerate(zip(sizes, stored, strict=True)):
        sample = DetDataSample(
            metainfo={
                "img_shape": (height, width),
                "ori_shape": (own_height, own_width),
                "pad_shape": padded,
                "batch_input_shape": padded,
                "scale_factor": (width / own_width, height / own_height),
            }
        )
        if targets is not None:
            there = targets[number]
            kept = ~there["crowd"]
            sample.gt_instances = InstanceData(bboxes=there["boxes"][kept], labels=there["classes"][kept])
            if masks:
                drawn = there["masks"][kept].cpu().numpy()
                sample.gt_instances.masks = BitmapMasks(drawn.astype("uint8"), *drawn.shape[1:])
            sample.ignored_instances = InstanceData(bboxes=there["boxes"][~kept])
        made.append(sample)
    return made


def _without_classes(samples: list[Any]) -> list[Any]:
    """Return records for proposals, which are of one class."""
    made = copy.deepcopy(samples)
    for sample in made:
        sample.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
    return made


def _rpn(
    channels: int, strides: Sequence[int], scale: float, convolutions: int, proposals: int
) -> dict[str, Any]:
    proposing = {"max_per_img": proposals, "nms": {"type": "nms", "iou_threshold": 0.7}, "min_bbox_size": 0}
    return {
        "type": "RPNHead",
        "in_channels": channels,
        "feat_channels": channels,
        "num_convs": convolutions,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": [scale],
            "ratios": [0.5, 1.0, 2.0],
            "strides": list(strides),
        },
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [1.0] * 4},
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
        "loss_bbox": {"type": "SmoothL1Loss", "beta": 1 / 9, "loss_weight": 1.0},
        "train_cfg": {
            "assigner": {
                "type": "MaxIoUAssigner",
                "pos_iou_thr": 0.7,
                "neg_iou_thr": 0.3,
                "min_pos_iou": 0.3,
                "match_low_quality": True,
                "ignore_iof_thr": 0.5,  # a crowd is no background
            },
            "sampler": {
                "type": "RandomSampler",
                "num": 256,
                "pos_fraction": 0.5,
                "neg_pos_ub": -1,
                "add_gt_as_proposals": False,
            },
            "allowed_border": -1,  # narrow pictures have no anchor inside
            "pos_weight": -1,
            "debug": False,
        },
        "test_cfg": {"nms_pre": proposals, **proposing},
        "proposing": {"nms_pre": 2 * proposals, **proposing},
    }


def _roi(
    channels: int,
    classes: int,
    masks: bool,
    overlaps: Sequence[float],
    convolutions: int,
    width: int,
    strides: Sequence[int],
    samples: int,
) -> dict[str, Any]:
    deviations = [[0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067]]
    norm = {"type": "LN2d"}

    def extractor(side: int) -> dict[str, Any]:
        return {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": side, "sampling_ratio": 0},
            "out_channels": channels,
            "featmap_strides": list(strides),
        }

    heads = [
        {
            "type": "ConvFCBBoxHead",
            "num_shared_convs": convolutions,
            "num_shared_fcs": 1,
            "in_channels": channels,
            "conv_out_channels": channels,
            "fc_out_channels": width,
            "roi_feat_size": 7,
            "num_classes": classes,
            "norm_cfg": norm,
            "bbox_coder": {
                "type": "DeltaXYWHBBoxCoder",
                "target_means": [0.0] * 4,
                "target_stds": deviations[min(number, 2)],
            },
            "reg_class_agnostic": True,
            "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
            "loss_bbox": {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0},
        }
        for number in range(len(overlaps))
    ]
    learning = [
        {
            "assigner": {
                "type": "MaxIoUAssigner",
                "pos_iou_thr": overlap,
                "neg_iou_thr": overlap,
                "min_pos_iou": overlap,
                "match_low_quality": False,
                "ignore_iof_thr": 0.5,
            },
            "sampler": {
                "type": "RandomSampler",
                "num": samples,
                "pos_fraction": 0.25,
                "neg_pos_ub": -1,
                "add_gt_as_proposals": True,
            },
            "mask_size": 28,
            "pos_weight": -1,
            "debug": False,
        }
        for overlap in overlaps
    ]
    made: dict[str, Any] = {
        "type": "CascadeRoIHead",
        "num_stages": len(overlaps),
        "stage_loss_weights": [0.5**number for number in range(len(overlaps))],
        "bbox_roi_extractor": extractor(7),
        "bbox_head": heads,
        "train_cfg": learning,
    }
    if masks:
        made["mask_roi_extractor"] = extractor(14)
        made["mask_head"] = {
            "type": "FCNMaskHead",
            "num_convs": 4,
            "in_channels": channels,
            "conv_out_channels": channels,
            "num_classes": classes,
            "norm_cfg": norm,
            "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True, "loss_weight": 1.0},
        }
    return made
