"""Base of dense tasks: a neck that makes feature maps, a head on them, images of any size, drawn predictions.

Shapes: B batch, H and W height and width in pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.needs import Needs
from onepeace_pl.dense.branch import DenseBranch
from onepeace_pl.dense.drawing import Picture
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AnySizeProcessor
from onepeace_pl.modalities.base import Processor
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.modalities.image.processor import denormalise
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.training.task import Prediction, Reads, Task, TaskOutput, targets_of

DenseOutput: TypeAlias = Any
"""Prediction for an image, or its target, of a type of the task's own."""


@runtime_checkable
class ClassHead(Protocol):
    """A head that names its submodules whose parameters belong to the classes, such as a classifier."""

    class_specific: tuple[str, ...]


class DenseTask(Task):
    """Base of tasks with predictions for places of an image.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        neck: Makes a feature pyramid, given the encoder's config (:mod:`onepeace_pl.dense`).
        target: Reads a row's target from its labels.
        modality: Name of the image adapter.
        image_size: Whether the size of each image before padding is needed.
        drawn: Number of rows of each evaluation set that are drawn.
    """

    head: nn.Module

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        neck: Callable[[TransformerConfig], nn.Module],
        target: TargetReader,
        modality: str = "image",
        image_size: bool = False,
        drawn: int = 6,
    ) -> None:
        super().__init__(
            Reads((modality,), stop_after="blocks"),  # necks read blocks; the final norms never run
            Needs(target=target, processors={modality: keeps_pixels}, image_size=image_size),
        )
        self.modality, self.classes, self.drawn = modality, data_info.classes, drawn
        self.neck = neck(backbone.config)

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze the parameters that the stage excludes, and those that the neck never reaches."""
        super().apply_stage(backbone)
        for module in self.neck.modules():
            if isinstance(module, DenseBranch):
                module.freeze_unused(backbone.encoder)

    def is_class_agnostic(self, name: str) -> bool:
        """Whether a parameter is the neck's, or of a part of the head that the classes do not change."""
        if name.startswith("neck."):
            return True
        return isinstance(self.head, ClassHead) and not set(self.head.class_specific) & set(name.split("."))

    @abstractmethod
    def outputs(self, backbone: Backbone, batch: Batch) -> Sequence[DenseOutput]:
        """Return the prediction for each image, at its size as stored."""

    @abstractmethod
    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the parts of the loss, and further scalars for the logs."""

    @abstractmethod
    def predictions(self, outputs: Sequence[DenseOutput], batch: Batch) -> list[Prediction]:
        """Return the prediction for each image in plain values."""

    @abstractmethod
    def draw(self, picture: Picture, prediction: DenseOutput) -> Picture:
        """Draw a prediction, or a target, over its image."""

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss: the sum of its parts."""
        parts, logs = self.losses(backbone, batch)
        loss = torch.stack(list(parts.values())).sum()
        return TaskOutput(loss, {**logs, **{name: value.detach() for name, value in parts.items()}})

    def draw_rows(
        self, dataset: EvaluationSet, drawings: list[Picture], outputs: Sequence[DenseOutput], batch: Batch
    ) -> None:
        """Add drawings of the first rows of a set: the prediction, and the target beside it."""
        targets, (_, stored) = targets_of(batch), self.sizes(batch)
        for place, number in enumerate(batch.indices.tolist()):
            if len(drawings) >= self.drawn or number >= self.drawn:
                continue
            # the size that the targets refer to also says how the image is turned
            picture = np.asarray(open_image(dataset.rows[number].fields[self.modality], stored[place]))
            both = [self.draw(picture, found[place]) for found in (outputs, targets)]
            drawings.append(np.concatenate(both, axis=1))

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction]:
        """Return the prediction for each image, and draw it."""
        outputs = self.outputs(backbone, batch)
        predictions, (fed, stored) = self.predictions(outputs, batch), self.sizes(batch)
        for place, prediction in enumerate(predictions):
            width, height = fed[place]
            pixels = denormalise(batch.inputs[self.modality].values[place, :, :height, :width])
            picture = Image.fromarray(pixels).resize(stored[place], Image.Resampling.BILINEAR)
            prediction["drawing"] = self.draw(np.asarray(picture), outputs[place])
        return predictions

    def sizes(self, batch: Batch) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return width and height of each image as fed, without padding, and as stored."""
        height, width = batch.inputs[self.modality].values.shape[-2:]
        fed = [
            tuple(labels.get("input_size", labels.get("image_size", (width, height))))
            for labels in batch.labels
        ]
        stored = [
            tuple(labels.get("image_size", size)) for labels, size in zip(batch.labels, fed, strict=True)
        ]
        return fed, stored


def keeps_pixels(processor: Processor) -> None:
    """Reject a processor that resizes images by itself: their labels would not follow.

    Raises:
        UserError: Names the processor for images of any size.
    """
    if not isinstance(processor, AnySizeProcessor):
        raise UserError(
            f"{type(processor).__name__} changes images without their labels; use AnySizeProcessor, and "
            "data.init_args.transform for what changes both"
        )
