"""Video classification with space-time adapters (docs/reference/tasks.md).

Shapes: B rows of a batch, N rows of a set, T frames, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.needs import ValueCount
from onepeace_pl.errors import UserError
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.classification import accuracies, top_predictions
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.results import ClassificationResult, Result
from onepeace_pl.tasks.video.head import ClipHead
from onepeace_pl.tasks.video.space_time import SpaceTime
from onepeace_pl.training.evaluators import Evaluator, RowEvaluator
from onepeace_pl.training.task import Prediction, SupervisedTask, targets_of

TOP = 5  # classes of a prediction


class VideoClassification(SupervisedTask):
    """Classifies video clips, from frames that the image backbone reads with space-time adapters.

    A row holds the frames of one view of a clip. Rows with equal id are views of the same clip: their probabilities
    are averaged before the metrics. The original freezes the backbone (``stage: frozen``); with another stage
    it trains too, at the full learning rate (``layer_decay`` lowers it).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        frames: Frames T of each row.
        modality: Modality that frames are read as.
        dropout: Dropout before the last linear layer.
        adapter_rate: Share of the learning rate for adapters and temporal embedding; norm and head learn at 1.

    Source: arXiv 2305.11172, appendix (Kinetics-400), with the adapters of AIM (arXiv 2302.03024).
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = ClassificationResult

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        frames: int = 16,
        modality: str = "image",
        dropout: float = 0.5,
        adapter_rate: float = 0.1,
    ) -> None:
        if modality not in backbone.modalities:
            raise UserError(
                f"no modality {modality!r} for frames; the backbone has {', '.join(backbone.modalities)}"
            )
        if frames < 1:
            raise UserError(f"frames={frames}: a clip needs 1 frame or more")
        if adapter_rate <= 0:
            raise UserError(f"adapter_rate={adapter_rate} must be above 0; adapters have to learn")
        count = ValueCount(frames, frames, "set model.task.init_args.frames to the frames of a row")
        # the head has a norm of its own
        super().__init__(data_info, [modality], "class", stop_after="blocks", values={modality: count})
        self.modality, self.frames, self.top = modality, frames, TOP
        self.space_time = SpaceTime(backbone.config.width, backbone.depth, frames, adapter_rate)
        self.head = ClipHead(backbone.config, len(data_info.classes), dropout)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C).

        Raises:
            UserError: Rows do not have T frames.
        """
        clips = batch.inputs[self.modality]
        self.needs.check_values(batch.counts())
        tokens = self.space_time(backbone.encoder, clips, self.modality)
        logits: Tensor = self.head(tokens, self.frames)
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs.float(), targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return top-1 and top-5 accuracy of each row."""
        return accuracies(outputs, targets)

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Gather the probabilities (B, C) of rows: which ones are views of one clip is known when all are there."""

        def values(backbone: Backbone, batch: Batch, dataset: EvaluationSet) -> dict[str, Tensor | list[str]]:
            probabilities = self.outputs(backbone, batch).float().softmax(-1)
            return {"id": batch.ids, "probabilities": probabilities, "target": targets_of(batch)}

        return RowEvaluator(sets, values, self.clip_metrics, by_class=self.clips_by_class)

    def clip_metrics(self, columns: Columns) -> dict[str, float]:
        """Return the accuracy over clips, of the mean probabilities of each clip's views."""
        metrics = self.metrics(*_clips(columns))
        return {name: float(values.mean()) for name, values in metrics.items()}

    def clips_by_class(self, columns: Columns) -> ByClass:
        """Return precision, recall, F1 and confusions of the classes, over clips."""
        probabilities, targets = _clips(columns)
        return ByClass.of_indices(probabilities.argmax(-1).numpy(), targets.numpy(), self.classes)

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the likeliest classes of each row and their probabilities; views are not averaged."""
        return top_predictions(outputs.float().softmax(-1), self.classes, self.top)


def _clips(columns: Columns) -> tuple[Tensor, Tensor]:
    """Return the mean probabilities of each clip's views, (clips, C), and the class of each clip."""
    _, first, clip = np.unique(columns["id"].astype(str), return_index=True, return_inverse=True)
    total = torch.zeros(len(first), columns["probabilities"].shape[1])
    total.index_add_(0, torch.from_numpy(clip), torch.from_numpy(columns["probabilities"]))
    views = torch.from_numpy(np.bincount(clip))
    targets = torch.from_numpy(columns["target"][first]).long()
    return total / views[:, None], targets
