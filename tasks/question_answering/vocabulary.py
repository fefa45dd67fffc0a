"""Visual question answering over a vocabulary of answers (docs/reference/tasks.md).

Shapes: B batch, C answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.results import AnswerResult, Result
from onepeace_pl.tasks.question_answering.evidence import check_evidence
from onepeace_pl.training.task import Prediction, SupervisedTask


class OpenAnswer(SupervisedTask):
    """Answers a question about an image, audio, or both read together, with one of a vocabulary of answers.

    Measured by the confidence of human annotators in the answer (``accuracy``, the VQA score).

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, whose classes are the answers.
        evidence: Modalities that the question is about; the original's is [image].
        pooler: A dense layer with tanh after the pooling, as in the original.
    """

    monitor = ("accuracy", "max")
    result_type: ClassVar[type[Result]] = AnswerResult

    def __init__(
        self,
        backbone: Backbone,
        data_info: DataInfo,
        evidence: Sequence[str] = ("image",),
        pooler: bool = True,
    ) -> None:
        super().__init__(data_info, ["text", *check_evidence(evidence, backbone)], "answers")
        self.head = ClassificationHead(backbone.config, len(data_info.classes), pooler=pooler)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return logits (B, C)."""
        logits: Tensor = self.head(self.encode(backbone, batch), "text")
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy with confidences, summed over answers, mean over rows."""
        return F.binary_cross_entropy_with_logits(outputs.float(), targets, reduction="sum") / len(outputs)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the confidence in the best answer of each row."""
        return {"accuracy": targets.gather(1, outputs.argmax(-1, keepdim=True))[:, 0]}

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the best answer."""
        return [{"answer": self.classes[number]} for number in outputs.argmax(-1).tolist()]

    def export(self, dataset: EvaluationSet, predictions: Sequence[Prediction]) -> Mapping[str, str]:
        """Return the file of the VQA evaluation server, where all ids are numbers of questions."""
        if not all(str(answer["id"]).isdecimal() for answer in predictions):
            return {}
        listed = [{"question_id": int(answer["id"]), "answer": answer["answer"]} for answer in predictions]
        return {"json": json.dumps(listed, ensure_ascii=False)}
