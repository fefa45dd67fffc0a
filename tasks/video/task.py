"""Which class a clip is of (spec: tasks, section 15).

Shapes: B rows of a batch, N rows of a set, T frames, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.targets import ClassTarget, TargetReader
from onepeace_pl.metrics.classification import accuracies, likeliest
from onepeace_pl.tasks.video.head import ClipHead
from onepeace_pl.tasks.video.space_time import SpaceTime
from onepeace_pl.training.supervised import SupervisedTask


class VideoClassification(SupervisedTask):
    """Tells which class a clip is of, from frames that a backbone of pictures reads with space-time adapters.

    A row holds the frames of one view of a clip. Rows with equal id are views of the same clip: their probabilities
    are averaged before anything is counted. The original freezes the backbone (``stage: frozen``); with another stage
    it trains too, at the full learning rate (``layer_decay`` lowers it).

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        frames: Frames T of each row.
        modality: What frames are read as.
        dropout: Before the last linear layer.
        adapter_rate: Share of the learning rate for adapters and temporal embedding; norm and head learn at 1.

    Source: arXiv 2305.11172, appendix (Kinetics-400), with the adapters of AIM (arXiv 2302.03024).
    """

    monitor = ("accuracy", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        frames: int = 16,
        modality: str = "image",
        dropout: float = 0.5,
        adapter_rate: float = 0.1,
    ) -> None:
        super().__init__(backbone, data_info)
        if modality not in backbone.modalities:
            raise ValueError(
                f"no modality {modality!r} for frames; the backbone has {', '.join(backbone.modalities)}"
            )
        if frames < 1:
            raise ValueError(f"frames={frames}: a clip needs 1 frame or more")
        if adapter_rate <= 0:
            raise ValueError(f"adapter_rate={adapter_rate} must be above 0; adapters have to learn")
        self.modality, self.frames, self.classes = modality, frames, data_info.classes
        self._read = ClassTarget(data_info.classes)
        self.space_time = SpaceTime(backbone.config.width, backbone.depth, frames, adapter_rate)
        self.head = ClipHead(backbone.config, len(data_info.classes), dropout)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What frames are read as."""
        return (self.modality,)

    @property
    def stop_after(self) -> StopAfter:
        """The head has a norm of its own."""
        return "blocks"

    @property
    def read_target(self) -> TargetReader:
        """Read the class of a row."""
        return self._read

    def check_values(self, counts: Mapping[str, float]) -> None:
        """Refuse clips of another number of frames."""
        if counts[self.modality] != self.frames:
            raise ValueError(
                f"{counts[self.modality]:g} frames a row, and the task reads {self.frames}; set "
                f"model.task.init_args.frames to what the data give"
            )

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C).

        Raises:
            ValueError: Rows do not have T frames.
        """
        clips = batch.inputs[self.modality]
        self.check_values(batch.counts())
        tokens = self.space_time(backbone.encoder, clips, self.modality)
        return self.head(tokens, self.frames)  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs.float(), targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Say for each row whether the best answer, and whether one of the best five, is right."""
        return accuracies(outputs, targets)

    def columns(self, outputs: Tensor, batch: Batch) -> dict[str, Any]:
        """Keep probabilities (B, C): which rows are views of one clip is known when all are there."""
        probabilities = outputs.float().softmax(-1)
        return {"id": batch.ids, "probabilities": probabilities, "target": self.targets(batch)}

    def summarise(self, columns: Mapping[str, Any]) -> dict[str, float]:
        """Average the probabilities of each clip's views, then say how often it is answered rightly."""
        _, first, clip = np.unique(columns["id"].astype(str), return_index=True, return_inverse=True)
        total = torch.zeros(len(first), columns["probabilities"].shape[1])
        total.index_add_(0, torch.from_numpy(clip), torch.from_numpy(columns["probabilities"]))
        views = torch.from_numpy(np.bincount(clip))
        targets = torch.from_numpy(columns["target"][first]).long()
        found = self.measure(total / views[:, None], targets)
        return {name: float(values.mean()) for name, values in found.items()}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Name the likeliest classes of each row and their probabilities; views are not averaged."""
        return likeliest(outputs.float().softmax(-1), self.classes)
