"""Classification with one class a row, or with any number of them (docs/reference/tasks.md).

Shapes: B batch, N rows of a set, C classes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.needs import Offer
from onepeace_pl.errors import UserError
from onepeace_pl.heads import ClassificationHead, MeanPoolingHead
from onepeace_pl.metrics.by_class import ByClass, average_precisions
from onepeace_pl.metrics.classification import (
    accuracies,
    class_columns,
    classes_of_columns,
    top_predictions,
)
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.results import ClassificationResult, MultiLabelResult, Result
from onepeace_pl.training.class_weights import ClassWeight, ClassWeightOption, ClassWeights, PosWeight
from onepeace_pl.training.examples import Judgement, judge_classes
from onepeace_pl.training.task import Prediction, SupervisedTask


class Classification(SupervisedTask):
    """Classifies images, audio or text: one class a row.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        modality: Modality that is classified.
        pooling: ``attention`` over normed tokens (the original's head for audio, text and images), ``cls`` the
            same head on the CLS token alone, ``mean`` of tokens without final norm (its vision code's, for ImageNet).
        pooler: A dense layer with tanh after the pooling; not with ``mean``.
        label_smoothing: Share of the target that is spread over all classes.
        class_weight: Weights of classes in the loss, for imbalanced training rows: ``balanced`` (inversely proportional
            to their frequencies, as in scikit-learn), a list in the order of classes, or name -> weight. The loss is
            the weighted sum divided by the number of rows, as in Keras, so that it does not depend on how a batch is
            split over devices or accumulated; PyTorch divides by the sum of weights.
        top: Also report the accuracy of the top k classes, for this k; 1 does not.
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = ClassificationResult
    label: ClassVar = "class"  # that is predicted

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        modality: str = "image",
        pooling: Literal["attention", "cls", "mean"] = "attention",
        pooler: bool = False,
        label_smoothing: float = 0.0,
        class_weight: ClassWeightOption | None = None,
        top: int = 5,
    ) -> None:
        if modality not in backbone.modalities:
            raise UserError(
                f"no modality {modality!r} to classify; the backbone has {', '.join(backbone.modalities)}"
            )
        if not 0.0 <= label_smoothing < 1.0:
            raise UserError(f"label_smoothing={label_smoothing} must be a share of at least 0 and below 1")
        mean = pooling == "mean"
        super().__init__(data_info, [modality], self.label, stop_after="blocks" if mean else "norm")
        self.modality, self.label_smoothing, self.top = modality, label_smoothing, top
        self.class_weight: ClassWeights | None = (
            None if class_weight is None else ClassWeight(class_weight, data_info.classes)
        )
        count = len(data_info.classes)
        self.head = (
            MeanPoolingHead(backbone.config.width, count)
            if mean
            else ClassificationHead(backbone.config, count, pooling == "attention", pooler)
        )

    def prepare(self, offer: Offer) -> None:
        """Balance the class weights."""
        if self.class_weight is not None and offer.train is not None and self.needs.target is not None:
            self.class_weight.count(offer.train, self.needs.target)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C)."""
        logits: Tensor = self.head(self.encode(backbone, batch), self.modality)
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with classes (B,) or with shares of classes (B, C), weighted by class; mean over rows."""
        smoothing = self.label_smoothing
        if self.class_weight is None:
            return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)
        weight = self.class_weight.on(outputs.device)
        total = F.cross_entropy(outputs.float(), targets, weight, reduction="sum", label_smoothing=smoothing)
        return total / len(outputs)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return top-1 and top-k accuracy of each row."""
        return accuracies(outputs, targets, self.top)

    def row_values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the predicted class of each row and the true one; of two classes also the probability of the first."""
        return class_columns(outputs, targets)

    def by_class(self, columns: Columns) -> ByClass | None:
        """Return precision, recall, F1 and confusions of the classes."""
        return classes_of_columns(columns, self.classes)

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return one minus the probability of the true class, and whether that is the likeliest."""
        return judge_classes(outputs, class_columns(outputs, targets)["true"])

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return the true class and its probability."""
        true = class_columns(outputs, targets)["true"]
        shares = outputs.float().softmax(-1).gather(1, true[:, None])[:, 0]
        return [
            {"class": self.classes[number], "probability": share}
            for number, share in zip(true.tolist(), shares.tolist(), strict=True)
        ]

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the likeliest classes and their probabilities."""
        return top_predictions(outputs.float().softmax(-1), self.classes, self.top)


def mean_average_precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the classes that occur of the average precision of outputs and targets (N, C)."""
    return average_precisions(outputs, targets).nanmean()


class MultiLabelClassification(Classification):
    """Classifies images, audio or text: any number of classes a row.

    Measured by the mean average precision (``mAP``) over the classes that occur; NaN where none does.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        modality: Modality that is classified.
        pooling: See :class:`Classification`.
        pooler: See :class:`Classification`.
        pos_weight: Weights of positives in the loss, for rare classes: ``balanced`` (rows without the class / rows
            with it), a list in the order of classes, or name -> weight.
    """

    monitor = ("mAP", "max")
    result_type: ClassVar[type[Result]] = MultiLabelResult
    label = "classes"
    set_metrics: ClassVar = {"mAP": mean_average_precision}

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        modality: str = "audio",
        pooling: Literal["attention", "cls", "mean"] = "attention",
        pooler: bool = False,
        pos_weight: ClassWeightOption | None = None,
    ) -> None:
        super().__init__(backbone, data_info, modality, pooling, pooler)
        self.class_weight = None if pos_weight is None else PosWeight(pos_weight, data_info.classes)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy summed over classes, mean over rows."""
        weight = None if self.class_weight is None else self.class_weight.on(outputs.device)
        total = F.binary_cross_entropy_with_logits(
            outputs.float(), targets, reduction="sum", pos_weight=weight
        )
        return total / len(outputs)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return nothing: average precision is no mean over rows."""
        return {}

    def row_values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return nothing: outputs and targets are kept for the average precision."""
        return {}

    def by_class(self, columns: Columns) -> ByClass | None:
        """Return average precision, precision, recall and F1 of the classes, and precision-recall curves."""
        probabilities = torch.from_numpy(columns["outputs"]).sigmoid().numpy()
        return ByClass.of_marks(probabilities, columns["targets"] > 0, self.classes)

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return the binary cross-entropy summed over classes, and whether the predicted classes are the true ones."""
        errors = F.binary_cross_entropy_with_logits(outputs.float(), targets, reduction="none").sum(-1)
        return Judgement(errors, ((outputs >= 0) == (targets > 0)).all(-1))

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return the true classes."""
        return [
            {"classes": [name for name, mark in zip(self.classes, row, strict=True) if mark]}
            for row in (targets > 0).tolist()
        ]

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the classes with a probability of at least a half, and all probabilities."""
        return [
            {
                "classes": [name for name, p in zip(self.classes, row, strict=True) if p >= 0.5],
                "probabilities": {name: round(p, 6) for name, p in zip(self.classes, row, strict=True)},
            }
            for row in outputs.float().sigmoid().tolist()
        ]
