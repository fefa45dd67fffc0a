"""One class a row, or any number of them (spec: tasks, sections 2, 6, 7 and 12).

Shapes: B batch, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.targets import ClassesTarget, ClassTarget, TargetReader
from onepeace_pl.heads import ClassifyHead, MeanHead
from onepeace_pl.metrics.classification import accuracies, likeliest
from onepeace_pl.training.supervised import SupervisedTask


class Classification(SupervisedTask):
    """Tells which class a picture, a sound or a text is of.

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        modality: What is classified.
        pooling: ``attention`` over normed tokens (the original's head for sounds, texts and pictures),
            ``summary`` the same head on the summary alone, ``mean`` of tokens without final norm (its vision
            code's, for ImageNet).
        pooler: A dense layer with tanh behind the pooling; not with ``mean``.
        label_smoothing: Share of the target that is spread over all classes.
        top: Also report how often the right class is among so many; 1 does not.
    """

    monitor = ("accuracy", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        modality: str = "image",
        pooling: Literal["attention", "summary", "mean"] = "attention",
        pooler: bool = False,
        label_smoothing: float = 0.0,
        top: int = 5,
    ) -> None:
        super().__init__(backbone, data_info)
        if modality not in backbone.modalities:
            raise ValueError(
                f"no modality {modality!r} to classify; the backbone has {', '.join(backbone.modalities)}"
            )
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} must be a share of at least 0 and below 1")
        self.modality, self.mean = modality, pooling == "mean"
        self.label_smoothing, self.top = label_smoothing, top
        self.classes = data_info.classes
        self._read: TargetReader = self.make_reader(data_info)
        count = len(data_info.classes)
        self.head = (
            MeanHead(backbone.config.width, count)
            if self.mean
            else ClassifyHead(backbone.config, count, pooling == "attention", pooler)
        )

    def make_reader(self, data_info: DataInfo) -> TargetReader:
        """Return what reads a row's class."""
        return ClassTarget(data_info.classes)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is classified."""
        return (self.modality,)

    @property
    def stop_after(self) -> StopAfter:
        """The mean is taken of tokens without final norm."""
        return "blocks" if self.mean else "norm"

    @property
    def read_target(self) -> TargetReader:
        """Read the class of a row."""
        return self._read

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C)."""
        (features,), _ = backbone(batch.inputs, [ForwardPass(self.modalities, stop_after=self.stop_after)])
        return self.head(features, self.modality)  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with classes (B,) or with shares of classes (B, C)."""
        return F.cross_entropy(outputs.float(), targets, label_smoothing=self.label_smoothing)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Say for each row whether the best answer, and whether one of the best few, is right."""
        return accuracies(outputs, targets, self.top)

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Name the likeliest classes and their probabilities."""
        return likeliest(outputs.float().softmax(-1), self.classes, self.top)


class MultiLabelClassification(Classification):
    """Tells which classes, any number of them, are in a picture, a sound or a text.

    Measured by the mean over classes of the average precision (mAP), over the classes that occur; where none does,
    it is not a number.

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        modality: What is classified.
        pooling: See :class:`Classification`.
        pooler: See :class:`Classification`.
    """

    monitor = ("mAP", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        modality: str = "audio",
        pooling: Literal["attention", "summary", "mean"] = "attention",
        pooler: bool = False,
    ) -> None:
        super().__init__(backbone, data_info, modality, pooling, pooler)

    def make_reader(self, data_info: DataInfo) -> TargetReader:
        """Return what reads a row's classes."""
        return ClassesTarget(data_info.classes)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy summed over classes, mean over rows."""
        return F.binary_cross_entropy_with_logits(outputs.float(), targets, reduction="sum") / len(outputs)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Keep scores and targets: precision is one of the whole set."""
        return {"scores": outputs.float().sigmoid(), "targets": targets}

    def summarise(self, columns: Mapping[str, Any]) -> dict[str, float]:
        """Return the mean average precision over the classes that occur."""
        from torchmetrics.functional.classification import binary_average_precision

        scores, targets = (torch.from_numpy(np.asarray(columns[name])) for name in ("scores", "targets"))
        there = targets.sum(0).nonzero()[:, 0].tolist()
        each = [float(binary_average_precision(scores[:, c], targets[:, c].long())) for c in there]
        return {"mAP": fmean(each) if each else math.nan}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Name the classes that are likelier there than not, and all probabilities."""
        return [
            {
                "classes": [name for name, p in zip(self.classes, row, strict=True) if p >= 0.5],
                "probabilities": {name: round(p, 6) for name, p in zip(self.classes, row, strict=True)},
            }
            for row in outputs.float().sigmoid().tolist()
        ]
