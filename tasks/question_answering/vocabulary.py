"""A question whose answer is one of a vocabulary (spec: tasks, section 10).

Shapes: B batch, C answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.targets import AnswersTarget, TargetReader
from onepeace_pl.heads import ClassifyHead
from onepeace_pl.tasks.question_answering.evidence import check_evidence
from onepeace_pl.training.supervised import SupervisedTask


class OpenAnswer(SupervisedTask):
    """Answers a question about a picture, a sound, or both read together, with one of many known answers.

    Measured by the confidence that people have in the answer (``accuracy``, the VQA score).

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are the answers.
        evidence: Modalities that the question is about; the original's is [image].
        pooler: A dense layer with tanh behind the pooling (the original's).
    """

    monitor = ("accuracy", "max")

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        evidence: Sequence[str] = ("image",),
        pooler: bool = True,
    ) -> None:
        super().__init__(backbone, data_info)
        self.evidence = check_evidence(evidence, backbone)
        self.classes = data_info.classes
        self._read = AnswersTarget(data_info.classes)
        self.head = ClassifyHead(backbone.config, len(data_info.classes), pooler=pooler)

    @property
    def modalities(self) -> tuple[str, ...]:
        """A question and the evidence."""
        return ("text", *self.evidence)

    @property
    def read_target(self) -> TargetReader:
        """Read the confidence in every answer."""
        return self._read

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C)."""
        (features,), _ = backbone(batch.inputs, [ForwardPass(self.modalities, stop_after=self.stop_after)])
        return self.head(features, "text")  # type: ignore[no-any-return]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy with confidences, summed over answers, mean over rows."""
        return F.binary_cross_entropy_with_logits(outputs.float(), targets, reduction="sum") / len(outputs)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the confidence in the best answer of each row."""
        return {"accuracy": targets.gather(1, outputs.argmax(-1, keepdim=True))[:, 0]}

    def answers(self, outputs: Tensor, batch: Batch) -> list[dict[str, Any]]:
        """Give the best answer."""
        return [{"answer": self.classes[number]} for number in outputs.argmax(-1).tolist()]

    def export(self, each: EvaluationSet, answers: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Return the list that the VQA server takes, where all rows are told apart by numbers of questions."""
        if not all(str(answer["id"]).isdecimal() for answer in answers):
            return {}
        listed = [{"question_id": int(answer["id"]), "answer": answer["answer"]} for answer in answers]
        return {"json": json.dumps(listed, ensure_ascii=False)}
