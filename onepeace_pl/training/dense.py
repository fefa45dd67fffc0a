"""What dense tasks share: a neck that makes maps, a head on them, pictures of any size, and drawings of what is found.

Shapes: B batch, H and W height and width in pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.dense.branch import DenseBranch
from onepeace_pl.dense.drawing import Picture
from onepeace_pl.modalities import AnySizeProcessor
from onepeace_pl.modalities.base import Processor
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.modalities.image.processor import denormalise
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.training.supervised import MeasuredTask
from onepeace_pl.training.task import TaskOutput


class DenseTask(MeasuredTask):
    """Base of tasks that say something about places of a picture.

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        neck: Makes a pyramid of maps, given the encoder's config (:mod:`onepeace_pl.dense`).
        modality: Name of the picture adapter.
        drawn: Rows of each evaluation set that are drawn.
    """

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        neck: Callable[[TransformerConfig], nn.Module],
        modality: str = "image",
        drawn: int = 6,
    ) -> None:
        super().__init__(backbone, data_info)
        self.modality, self.classes, self.drawn = modality, data_info.classes, drawn
        self.neck = neck(backbone.config)
        self._drawings: dict[str, list[Picture]] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Pictures."""
        return (self.modality,)

    @property
    def stop_after(self) -> StopAfter:
        """Necks read blocks; the final norms never run."""
        return "blocks"

    def apply_stage(self, backbone: Backbone) -> None:
        """Freeze what the stage leaves as it is, and what the neck never reaches."""
        super().apply_stage(backbone)
        for module in self.neck.modules():
            if isinstance(module, DenseBranch):
                module.freeze_unread(backbone.encoder)

    def check_processors(self, processors: Mapping[str, Processor]) -> None:
        """Refuse a processor that resizes pictures by itself: their labels would not follow."""
        processor = processors.get(self.modality)
        if processor is not None and not isinstance(processor, AnySizeProcessor):
            raise ValueError(
                f"processors.{self.modality}: {type(processor).__name__} changes pictures without their labels; "
                "use AnySizeProcessor, and data.init_args.transform for what changes both"
            )

    def is_class_agnostic(self, name: str) -> bool:
        """Keep the neck, and of a head that says which parts are ``of_classes`` the others."""
        if name.startswith("neck."):
            return True
        parts: Sequence[str] | None = getattr(self.head, "of_classes", None)
        return parts is not None and not set(parts) & set(name.split("."))

    @abstractmethod
    def losses(self, backbone: Backbone, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the parts of the loss, and further numbers to be logged."""

    @abstractmethod
    def draw(self, picture: Picture, found: Any) -> Picture:
        """Draw what was found in a picture, or its target, over it."""

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Compute the loss: the sum of its parts."""
        parts, logs = self.losses(backbone, batch)
        loss = torch.stack(list(parts.values())).sum()
        return TaskOutput(loss, {**logs, **{name: value.detach() for name, value in parts.items()}})

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results."""
        super().start_evaluation(sets)
        self._drawings = {each.name: [] for each in sets}

    def measured(self, outputs: Any, batch: Batch, loader: int) -> None:
        """Draw the first rows of a set: what was found, then what is there."""
        drawn, rows = self._drawings[self._sets[loader].name], self._sets[loader].rows
        targets = self.targets(batch)
        for place, number in enumerate(batch.indices.tolist()):
            if len(drawn) >= self.drawn or number >= self.drawn:
                continue
            extent = self.sizes(batch)[1][place]  # of the targets, which say how the picture is turned
            picture = np.asarray(open_image(rows[number].fields[self.modality], extent))
            both = [self.draw(picture, each[place]) for each in (outputs, targets)]
            drawn.append(np.concatenate(both, axis=1))

    def predict(self, backbone: Backbone, batch: Batch) -> list[dict[str, Any]]:
        """Answer each row, and draw the answer over its picture."""
        outputs = self.outputs(backbone, batch)
        answers, (given, stored) = self.answers(outputs, batch), self.sizes(batch)
        for place, answer in enumerate(answers):
            width, height = given[place]
            pixels = denormalise(batch.inputs[self.modality].values[place, :, :height, :width])
            picture = Image.fromarray(pixels).resize(stored[place], Image.Resampling.BILINEAR)
            answer["drawing"] = self.draw(np.asarray(picture), outputs[place])
        return answers

    @property
    def drawings(self) -> Mapping[str, Sequence[Picture]]:
        """By set, what was found in its first rows, beside what is there."""
        return self._drawings

    def sizes(self, batch: Batch) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return width and height of each picture as given, without padding, and as stored."""
        height, width = batch.inputs[self.modality].values.shape[-2:]
        given = [tuple(labels.get("size", labels.get("extent", (width, height)))) for labels in batch.labels]
        stored = [tuple(labels.get("extent", size)) for labels, size in zip(batch.labels, given, strict=True)]
        return given, stored
