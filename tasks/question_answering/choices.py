"""Multiple-choice question answering (docs/reference/tasks.md).

Each choice is read with the question as one text, together with the evidence, and gets a score.

Shapes: B batch, K choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.needs import ValueCount
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.results import ChoiceResult, Result
from onepeace_pl.tasks.question_answering.evidence import check_evidence
from onepeace_pl.training.examples import Judgement, judge_classes
from onepeace_pl.training.task import Prediction, SupervisedTask

CHOICES = ValueCount(
    2,
    None,
    "each question needs as many choices as the others, so give the source's text field a tuple of them",
)


class MultipleChoice(SupervisedTask):
    """Chooses among the answers to a question about an image, audio, or both read together.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata.
        evidence: Modalities that the question is about; the original's is [audio].
        objective: ``hinge`` (the original's: every choice, the right one too, should lie a margin below the right one)
            or ``cross_entropy`` over the choices.
        margin: Margin of the hinge.
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = ChoiceResult

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        evidence: Sequence[str] = ("audio",),
        objective: Literal["hinge", "cross_entropy"] = "hinge",
        margin: float = 1.0,
    ) -> None:
        checked = check_evidence(evidence, backbone)
        super().__init__(data_info, ["text", *checked], "answer", values={"text": CHOICES})
        self.evidence, self.objective, self.margin = checked, objective, margin
        self.head = ClassificationHead(backbone.config, 1)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return scores (B, K)."""
        self.needs.check_values(batch.counts())
        choices = len(batch.inputs["text"].values) // len(batch)
        repeat = dict.fromkeys(self.evidence, choices)
        step = ForwardPass(self.reads.modalities, stop_after=self.reads.stop_after, repeat=repeat)
        (features,), _ = backbone(batch.inputs, [step])
        scores: Tensor = self.head(features, "text")
        return scores.view(-1, choices)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over rows of the summed hinge, or of the cross-entropy."""
        outputs = outputs.float()
        if self.objective == "cross_entropy":
            return F.cross_entropy(outputs, targets)
        right = outputs.gather(1, targets[:, None])
        return F.relu(self.margin + outputs - right).sum() / len(outputs)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the accuracy of each row."""
        return {"accuracy": (outputs.argmax(-1) == targets).float()}

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return one minus the softmax of the right choice's score, and whether the right choice is the best."""
        return judge_classes(outputs, targets)

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return the number of the right choice."""
        return [{"answer": target} for target in targets.tolist()]

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the number of the best choice, its text where the row has it, and all scores."""
        found = []
        for scores, labels in zip(outputs.float().tolist(), batch.labels, strict=True):
            best = max(range(len(scores)), key=scores.__getitem__)
            answer: dict[str, Any] = {"answer": best, "scores": [round(score, 4) for score in scores]}
            if "choices" in labels:
                answer["text"] = labels["choices"][best]
            found.append(answer)
        return found
