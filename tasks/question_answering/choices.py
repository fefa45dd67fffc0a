"""A question with its choices (spec: tasks, section 8).

Each choice is read with the question as one text, together with the evidence, and gets a score.

Shapes: B batch, K choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.targets import ChoiceTarget, TargetReader
from onepeace_pl.heads import ClassifyHead
from onepeace_pl.tasks.question_answering.evidence import check_evidence
from onepeace_pl.training.supervised import SupervisedTask


class MultipleChoice(SupervisedTask):
    """Chooses among the answers to a question about a picture, a sound, or both read together.

    Args:
        backbone: The backbone.
        data_info: Facts about the data.
        evidence: Modalities that the question is about; the original's is [audio].
        objective: ``hinge`` (the original's: every choice, the right one too, should lie a margin below the
            right one) or ``cross_entropy`` over the choices.
        margin: Of the hinge.
    """

    monitor = ("accuracy", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        evidence: Sequence[str] = ("audio",),
        objective: Literal["hinge", "cross_entropy"] = "hinge",
        margin: float = 1.0,
    ) -> None:
        super().__init__(backbone, data_info)
        self.evidence = check_evidence(evidence, backbone)
        self.objective, self.margin = objective, margin
        self.head = ClassifyHead(backbone.config, 1)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Texts and the evidence."""
        return ("text", *self.evidence)

    @property
    def read_target(self) -> TargetReader:
        """Read the number of the right choice."""
        return ChoiceTarget()

    def check_values(self, counts: Mapping[str, float]) -> None:
        """Refuse questions with less than two choices; of one batch all must have as many."""
        if counts["text"] < 2 or counts["text"] % 1:
            raise ValueError(
                f"{counts['text']:g} texts a question: each needs as many choices, two or more; give the "
                "source's text field a tuple of them"
            )

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return scores (B, K)."""
        self.check_values(batch.counts())
        choices = len(batch.inputs["text"].values) // len(batch)
        stream = ForwardPass(
            self.modalities, stop_after=self.stop_after, repeat=dict.fromkeys(self.evidence, choices)
        )
        (features,), _ = backbone(batch.inputs, [stream])
        return self.head(features, "text").view(-1, choices)  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over rows of the summed hinge, or of the cross-entropy."""
        outputs = outputs.float()
        if self.objective == "cross_entropy":
            return F.cross_entropy(outputs, targets)
        right = outputs.gather(1, targets[:, None])
        return F.relu(self.margin + outputs - right).sum() / len(outputs)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Say for each row whether the best choice is the right one."""
        return {"accuracy": (outputs.argmax(-1) == targets).float()}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Give the number of the best choice, its text where the row tells it, and all scores."""
        found = []
        for scores, labels in zip(outputs.float().tolist(), batch.labels, strict=True):
            best = max(range(len(scores)), key=scores.__getitem__)
            answer: dict[str, Any] = {"answer": best, "scores": [round(score, 4) for score in scores]}
            if "choices" in labels:
                answer["text"] = labels["choices"][best]
            found.append(answer)
        return found
