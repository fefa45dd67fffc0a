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
from onepeace_pl.metrics.by_class import ByClass
from onepeace_pl.metrics.classification import classes_of_columns
from onepeace_pl.metrics.rows import Columns
from onepeace_pl.results import AnswerResult, Result
from onepeace_pl.tasks.question_answering.evidence import check_evidence
from onepeace_pl.training.examples import Judgement
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

    def row_values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the best answer of each row, the most confident of annotators, and whether they know any."""
        return {
            "predicted": outputs.argmax(-1),
            "true": targets.argmax(-1),
            "known": targets.amax(-1) > 0,
        }

    def by_class(self, columns: Columns) -> ByClass | None:
        """Return precision, recall, F1 and confusions of the answers, of rows with an answer of the vocabulary."""
        known = columns["known"] > 0
        kept = {name: columns[name][known] for name in ("predicted", "true")}
        return classes_of_columns(kept, self.classes) if known.any() else None

    def judge(self, outputs: Tensor, targets: Tensor) -> Judgement | None:
        """Return the probability of the best answer less the confidence in it, and whether anyone has given it."""
        best = outputs.argmax(-1, keepdim=True)
        confidence = targets.gather(1, best)[:, 0]
        return Judgement(outputs.float().sigmoid().gather(1, best)[:, 0] - confidence, confidence > 0)

    def truths(self, outputs: Tensor, targets: Tensor, batch: Batch) -> list[Prediction]:
        """Return the annotators' confidence in each answer."""
        rows = [row.nonzero()[:, 0].tolist() for row in targets]
        return [
            {"answers": {self.classes[number]: float(row[number]) for number in numbers}}
            for row, numbers in zip(targets, rows, strict=True)
        ]

    def predictions(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        """Return the best answer and its probability."""
        best = outputs.float().sigmoid().max(-1)
        return [
            {"answer": self.classes[number], "probability": round(share, 6)}
            for number, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def export(self, dataset: EvaluationSet, predictions: Sequence[Prediction]) -> Mapping[str, str]:
        """Return the file of the VQA evaluation server, where all ids are numbers of questions."""
        if not all(str(answer["id"]).isdecimal() for answer in predictions):
            return {}
        listed = [{"question_id": int(answer["id"]), "answer": answer["answer"]} for answer in predictions]
        return {"json": json.dumps(listed, ensure_ascii=False)}
