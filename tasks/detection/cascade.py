"""Cascade Mask R-CNN in the style of ViTDet, made of mmdetection's heads (docs/reference/tasks.md).

Shapes: B batch, N objects, H and W height and width of the images as fed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.image.adapter import ChannelNorm

Targets = list[dict[str, Tensor]]
Sizes = list[tuple[int, int]]  # width and height of each image, without padding


class CascadeRCNN(nn.Module):
    """Cascade Mask R-CNN: region proposals, three stages of box heads, and a mask head.

    Args:
        channels: Channels of the feature maps, all equal; the last map is for proposals only.
        classes: Number of classes.
        masks: Whether masks are predicted.
        iou_thresholds: IoU from which a region counts as an object, stage by stage.
        convolutions: Convolutions of a box head, before its linear layer.
        width: Width of that linear layer.
        strides: Pixels of a cell, map by map.
        anchor_scale: Side of an anchor in cells.
        proposals: Greatest number of region proposals, in training and inference.
        samples: Regions of an image that a stage learns from.
        rpn_convolutions: Convolutions of the region proposal network.
        score_threshold: Smallest score of a detection.
        soft_nms: Lower the scores of overlapping detections (Soft-NMS) instead of dropping them.
        nms_iou: IoU from which a detection overlaps a better one.
        max_detections: Greatest number of detections in an image.
        score_masks: Masks get scores of their own, ``mask_scores``, which include the confidence of the mask head.
    """

    class_specific = ("fc_cls", "conv_logits")

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        masks: bool = True,
        iou_thresholds: Sequence[float] = (0.5, 0.6, 0.7),
        convolutions: int = 4,
        width: int = 1024,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        anchor_scale: float = 8.0,
        proposals: int = 1000,
        samples: int = 512,
        rpn_convolutions: int = 2,
        score_threshold: float = 0.05,
        soft_nms: bool = False,
        nms_iou: float = 0.5,
        max_detections: int = 100,
        score_masks: bool = False,
    ) -> None:
        super().__init__()
        if len(channels) != len(strides) or len(set(channels)) != 1:
            raise UserError(
                f"maps of {list(channels)} channels for strides {list(strides)}: give one per stride, all equal"
            )
        from onepeace_pl.integrations.openmmlab import init_weights, prepare

        prepare()
        from mmdet.registry import MODELS
        from mmengine.config import ConfigDict
        from mmengine.registry import DefaultScope

        MODELS.register_module("LN2d", module=ChannelNorm, force=True)
        nms: dict[str, Any] = {"type": "nms", "iou_threshold": nms_iou}
        if soft_nms:
            nms = {
                "type": "soft_nms",
                "iou_threshold": nms_iou,
                "method": "linear",
                "min_score": 1e-3,
            }
        rpn = _rpn(channels[0], strides, anchor_scale, rpn_convolutions, proposals)
        self._train_proposals = ConfigDict(rpn.pop("train_proposals"))
        roi = _roi(channels[0], classes, masks, iou_thresholds, convolutions, width, strides[:-1], samples)
        if masks:
            from onepeace_pl.tasks.detection.mask_head import OneMaskRoIHead, ScoredMaskHead

            roi["type"] = OneMaskRoIHead
            if score_masks:
                roi["mask_head"]["type"] = ScoredMaskHead
        roi["test_cfg"] = {
            "score_thr": score_threshold,
            "nms": nms,
            "max_per_img": max_detections,
            "mask_thr_binary": 0.5,
        }
        self.classes, self.masks, self.stride = classes, masks, strides[0]
        self.score_masks = masks and score_masks
        self.nms_iou, self.max_detections = nms_iou, max_detections
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.rpn = MODELS.build(ConfigDict(rpn))
            self.roi = MODELS.build(ConfigDict(roi))
        for head in (self.rpn, self.roi):
            init_weights(head)

    def forward(
        self, maps: list[Tensor], sizes: Sizes, targets: Targets | None = None, stored: Sizes | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Return the parts of the loss, or without targets the detections in each image.

        Boxes are computed in float32, whatever the precision of the run: bfloat16 has no odd integers beyond 256.

        Args:
            maps: Feature maps of the neck.
            sizes: Width and height of each image as fed.
            targets: ``boxes`` (N, 4) in pixels of the images as fed, ``classes``, ``masks`` where they are predicted.
            stored: Width and height of each image as stored, in whose pixels detections are returned.

        Returns:
            Detections have ``boxes`` (N, 4), ``scores``, ``classes``, and ``masks`` (N, H, W) bool, with
            ``mask_scores`` where masks are scored.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            exact = [image.float().contiguous() for image in maps]
            if targets is not None:
                return self._loss(exact, sizes, targets)
            return self._detect(exact, sizes, stored or sizes)

    def _loss(self, maps: list[Tensor], sizes: Sizes, targets: Targets) -> dict[str, Tensor]:
        samples = _samples(self._padded(maps), sizes, sizes, targets, self.masks)
        losses, proposals = self.rpn.loss_and_predict(maps, _without_classes(samples), self._train_proposals)
        losses = {f"rpn_{name.removeprefix('loss_')}": value for name, value in losses.items()}
        losses |= self.roi.loss(maps, proposals, samples)
        return {
            name: torch.stack(value).sum() if isinstance(value, list) else value.sum()
            for name, value in losses.items()
            if "acc" not in name
        }

    def _detect(self, maps: list[Tensor], sizes: Sizes, stored: Sizes) -> list[dict[str, Tensor]]:
        samples = _samples(self._padded(maps), sizes, stored)
        proposals = self.rpn.predict(maps, samples, rescale=False)
        detections = self.roi.predict(maps, proposals, samples, rescale=True)
        return [
            {
                "boxes": each.bboxes,
                "scores": each.scores,
                "classes": each.labels,
                **({"masks": each.masks} if self.masks else {}),
                # without any detection the mask head does not run
                **({"mask_scores": each.get("mask_scores", each.scores)} if self.score_masks else {}),
            }
            for each in detections
        ]

    def _padded(self, maps: list[Tensor]) -> tuple[int, int]:
        """Return height and width of the batch's images."""
        return maps[0].shape[-2] * self.stride, maps[0].shape[-1] * self.stride


def _samples(
    padded: tuple[int, int],
    sizes: Sizes,
    stored: Sizes,
    targets: Targets | None = None,
    masks: bool = False,
) -> list[Any]:
    """Return mmdetection's records of the images."""
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
            objects = targets[number]
            kept = ~objects["crowd"]
            sample.gt_instances = InstanceData(bboxes=objects["boxes"][kept], labels=objects["classes"][kept])
            if masks:
                drawn = objects["masks"][kept].cpu().numpy()
                sample.gt_instances.masks = BitmapMasks(drawn.astype("uint8"), *drawn.shape[1:])
            sample.ignored_instances = InstanceData(bboxes=objects["boxes"][~kept])
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
    shared = {"max_per_img": proposals, "nms": {"type": "nms", "iou_threshold": 0.7}, "min_bbox_size": 0}
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
                "ignore_iof_thr": 0.5,  # crowds are not background
            },
            "sampler": {
                "type": "RandomSampler",
                "num": 256,
                "pos_fraction": 0.5,
                "neg_pos_ub": -1,
                "add_gt_as_proposals": False,
            },
            "allowed_border": -1,  # narrow images have no anchor inside
            "pos_weight": -1,
            "debug": False,
        },
        "test_cfg": {"nms_pre": proposals, **shared},
        "train_proposals": {"nms_pre": 2 * proposals, **shared},
    }


def _roi(
    channels: int,
    classes: int,
    masks: bool,
    iou_thresholds: Sequence[float],
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
        for number in range(len(iou_thresholds))
    ]
    learning = [
        {
            "assigner": {
                "type": "MaxIoUAssigner",
                "pos_iou_thr": threshold,
                "neg_iou_thr": threshold,
                "min_pos_iou": threshold,
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
        for threshold in iou_thresholds
    ]
    made: dict[str, Any] = {
        "type": "CascadeRoIHead",
        "num_stages": len(iou_thresholds),
        "stage_loss_weights": [0.5**number for number in range(len(iou_thresholds))],
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
