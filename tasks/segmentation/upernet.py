"""UPerNet with an auxiliary FCN head, mmsegmentation's heads (arXiv 1807.10221).

Shapes: B batch, C classes, h and w sides of the largest map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

Norm = Literal["BN", "SyncBN", "GN"]


class UPerNet(nn.Module):
    """UPerNet: pyramid pooling and a feature pyramid over four maps.

    Args:
        channels: Channels of the feature maps, the largest map first.
        classes: Number of classes C.
        width: Channels within the head.
        norm: Normalisation: ``BN`` over the batch, ``SyncBN`` over that of all processes, ``GN`` over groups.
        auxiliary: Loss weight of the auxiliary FCN head on the third map; 0 leaves it out.
        dropout: Dropout before the last layer.
    """

    class_specific = ("conv_seg",)

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        width: int = 512,
        norm: Norm = "BN",
        auxiliary: float = 0.4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        from onepeace_pl.integrations.openmmlab import init_weights, prepare

        prepare()
        from mmseg.models.decode_heads import FCNHead, UPerHead

        shared: dict[str, Any] = {
            "num_classes": classes,
            "norm_cfg": {"type": norm, "requires_grad": True, **({"num_groups": 8} if norm == "GN" else {})},
            "align_corners": False,
            "dropout_ratio": dropout,
        }
        self.head = UPerHead(
            in_channels=list(channels),
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=width,
            **shared,
        )
        self.auxiliary = (
            FCNHead(
                in_channels=channels[2],
                in_index=2,
                channels=max(width // 2, 1),
                num_convs=1,
                concat_input=False,
                loss_decode={"type": "CrossEntropyLoss", "loss_weight": auxiliary},
                **shared,
            )
            if auxiliary
            else None
        )
        for head in (self.head, self.auxiliary):
            if head is not None:
                init_weights(head)

    def forward(self, maps: list[Tensor], masks: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Predict the class of each pixel.

        Args:
            maps: Feature maps of the neck.
            masks: (B, H, W) int64; None outside training.

        Returns:
            Scores (B, C, h, w), and the parts of the loss, none without masks.
        """
        scores = self.head(maps)
        if masks is None:
            return scores, {}
        losses = {"segmentation": self._loss(self.head, scores, masks)}
        if self.auxiliary is not None:
            losses["auxiliary"] = self._loss(self.auxiliary, self.auxiliary(maps), masks)
        return scores, losses

    @staticmethod
    def _loss(head: Any, scores: Tensor, masks: Tensor) -> Tensor:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in masks]
        loss: Tensor = head.loss_by_feat(scores.float(), samples)["loss_ce"]
        return loss
