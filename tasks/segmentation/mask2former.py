"""Mask2Former for semantic segmentation, mmsegmentation's head (arXiv 2112.01527).

Shapes: B batch, C classes, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Mask2Former(nn.Module):
    """Mask2Former: queries that each predict a class and a mask.

    Defaults are the released recipe's, but for ``width``, 1024 there.

    Args:
        channels: Channels of the feature maps, the largest map first.
        classes: Number of classes C.
        width: Channels within the head.
        queries: Number of queries.
        heads: Attention heads.
        encoder_layers: Layers of the deformable pixel decoder.
        decoder_layers: Layers of the transformer decoder.
        points: Sampled points of the mask losses.
    """

    class_specific = ("cls_embed", "loss_cls")

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        width: int = 256,
        queries: int = 200,
        heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        points: int = 12544,
    ) -> None:
        super().__init__()
        from onepeace_pl.integrations.openmmlab import init_weights, prepare

        prepare()
        from mmengine.config import ConfigDict
        from mmengine.registry import DefaultScope
        from mmseg.models.decode_heads import Mask2FormerHead

        options = ConfigDict(_options(classes, width, queries, heads, encoder_layers, decoder_layers, points))
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.head = Mask2FormerHead(
                num_classes=classes,
                in_channels=list(channels),
                strides=[4, 8, 16, 32],
                feat_channels=width,
                out_channels=width,
                num_queries=queries,
                num_transformer_feat_level=3,
                **options,
            )
        init_weights(self.head)

    def forward(self, maps: list[Tensor], masks: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Predict the class of each pixel.

        Queries are matched to masks in float32, whatever the precision of the run.

        Args:
            maps: Feature maps of the neck.
            masks: (B, H, W) int64; None outside training.

        Returns:
            Scores, sums over queries of class probability times mask probability, and the parts of the loss, none
            without masks: (B, C, H / 4, W / 4) in training, (B, C, H, W) outside, of masks that are enlarged first.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            given = [image.float() for image in maps]
            classes, shapes = self.head(given, _samples(len(given[0]), masks))
            shares, drawn = classes[-1].softmax(-1)[..., :-1], shapes[-1]
            if masks is None:
                drawn = F.interpolate(drawn, scale_factor=4, mode="bilinear", align_corners=False)
            scores = torch.einsum("bqc,bqhw->bchw", shares, drawn.sigmoid())
            if masks is None:
                return scores, {}
            there, infos = self.head._seg_data_to_instance_data(_samples(len(given[0]), masks))
            losses = self.head.loss_by_feat(classes, shapes, there, infos)
            return scores, {name: value.sum() for name, value in losses.items()}


def _samples(count: int, masks: Tensor | None) -> list[Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    if masks is None:
        return [SegDataSample() for _ in range(count)]
    return [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in masks]


def _options(
    classes: int, width: int, queries: int, heads: int, encoder_layers: int, decoder_layers: int, points: int
) -> dict[str, Any]:
    """Return the configs of the head's parts."""
    attention = {"embed_dims": width, "num_heads": heads, "batch_first": True}
    feed_forward = {"embed_dims": width, "num_fcs": 2, "ffn_drop": 0.0}
    relu = {"type": "ReLU", "inplace": True}
    positions = {"num_feats": width // 2, "normalize": True}
    deformable = {**attention, "num_levels": 3, "num_points": 4, "dropout": 0.0}
    cross_entropy = {"type": "CrossEntropyLoss", "reduction": "mean"}
    dice = {"type": "DiceLoss", "use_sigmoid": True, "activate": True, "naive_dice": True, "eps": 1.0}
    return {
        "pixel_decoder": {
            "type": "MSDeformAttnPixelDecoder",
            "num_outs": 3,
            "norm_cfg": {"type": "GN", "num_groups": min(32, width // 8)},
            "act_cfg": {"type": "ReLU"},
            "encoder": {
                "num_layers": encoder_layers,
                "layer_cfg": {
                    "self_attn_cfg": deformable,
                    "ffn_cfg": {**feed_forward, "feedforward_channels": 4 * width, "act_cfg": relu},
                },
            },
            "positional_encoding": positions,
        },
        "enforce_decoder_input_project": False,
        "positional_encoding": positions,
        "transformer_decoder": {
            "return_intermediate": True,
            "num_layers": decoder_layers,
            "layer_cfg": {
                "self_attn_cfg": {**attention, "dropout": 0.0},
                "cross_attn_cfg": {**attention, "dropout": 0.0},
                "ffn_cfg": {**feed_forward, "feedforward_channels": 4 * width, "act_cfg": relu},
            },
        },
        "loss_cls": {**cross_entropy, "loss_weight": 2.0, "class_weight": [1.0] * classes + [0.1]},
        "loss_mask": {**cross_entropy, "use_sigmoid": True, "loss_weight": 5.0},
        "loss_dice": {**dice, "reduction": "mean", "loss_weight": 5.0},
        "train_cfg": {
            "num_points": points,
            "oversample_ratio": 3.0,
            "importance_sample_ratio": 0.75,
            "assigner": {
                "type": "HungarianAssigner",
                "match_costs": [
                    {"type": "ClassificationCost", "weight": 2.0},
                    {"type": "CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
                    {"type": "DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
                ],
            },
            "sampler": {"type": "MaskPseudoSampler"},
        },
    }
