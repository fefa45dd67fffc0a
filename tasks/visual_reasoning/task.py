"""A statement over two pictures (spec: tasks, section 11).

Shapes: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.targets import TargetReader, TruthTarget
from onepeace_pl.heads import ClassifyHead
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.training.supervised import SupervisedTask

SECOND = "second image"


class VisualReasoning(SupervisedTask):
    """Tells whether a statement holds of two pictures, each of which is read with it (NLVR2).

    Rows have two values of ``image``. The picture adapter with ``types: 2`` (and the text adapter with ``types:
    1``) knows the first picture from the second, as the original does.

    Args:
        backbone: The backbone.
        data_info: Facts about the data.
        pool: Whose tokens the head pools in each pass: ``text`` (the original's) or ``image``, which learns with
            fewer rows: a patch need only know whether the words mean it.
    """

    monitor = ("accuracy", "max")

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, pool: Literal["text", "image"] = "text"
    ) -> None:
        super().__init__(backbone, data_info)
        self.pool = pool
        self.head = ClassifyHead(backbone.config, 2, passes=2)

    @property
    def modalities(self) -> tuple[str, ...]:
        """A statement and pictures."""
        return ("text", "image")

    @property
    def read_target(self) -> TargetReader:
        """Read whether the statement holds."""
        return TruthTarget()

    def check_values(self, counts: Mapping[str, float]) -> None:
        """Refuse statements that are not about two pictures."""
        if counts["image"] != 2:
            raise ValueError(
                f"{counts['image']:g} pictures a statement, which needs two; give the source's image field a "
                "tuple of them"
            )

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, 2): holds, does not hold."""
        pictures = batch.inputs["image"]
        self.check_values(batch.counts())
        inputs = dict(batch.inputs)
        inputs["image"], inputs[SECOND] = _of_pair(pictures, 0), _of_pair(pictures, 1)
        first = ForwardPass(self.modalities, stop_after=self.stop_after)
        passes, _ = backbone(inputs, [first, replace(first, fields={"image": SECOND})])
        return self.head(passes, self.pool)  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs.float(), targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Say for each row whether it is judged right."""
        return {"accuracy": (outputs.argmax(-1) == targets).float()}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Give the verdict and its probability."""
        shares = outputs.float().softmax(-1)[:, 0].tolist()
        return [{"truth": share >= 0.5, "probability": round(share, 6)} for share in shares]


def _of_pair(pictures: ModalityInput, number: int) -> ModalityInput:
    return replace(pictures, values=pictures.values[number::2], kind=number)
