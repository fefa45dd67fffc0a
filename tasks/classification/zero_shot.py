"""Zero-shot classification: the class whose prompts have the most similar embedding (docs/reference/tasks.md).

Shapes: B batch, C classes, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.prompts import Prompts, prompt_ensemble
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.tasks.classification.task import Classification
from onepeace_pl.training.evaluators import Evaluator
from onepeace_pl.training.task import Prediction, TaskOutput


class ZeroShotClassification(Classification):
    """Classifies by the prompts of the classes; nothing is trained.

    The prompts come with the data (``prompts``); of several for a class, the normalised mean embedding counts.

    Args:
        backbone: The backbone.
        data_info: Dataset metadata, which names the classes.
        modality: Modality that is classified.
        top: Also report the accuracy of the top k classes, for this k; 1 does not.
    """

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, modality: str = "image", top: int = 5
    ) -> None:
        super().__init__(backbone, data_info, modality, top=top)
        del self.head  # prompts take its place
        self.reads = replace(self.reads, stop_after="projection")
        self._prompts: tuple[Prompts, ...] = ()
        self._classes: Tensor | None = None

    def train(self, mode: bool = True) -> Self:
        """Set the mode, and forget the embeddings of the classes: before an evaluation the weights may have changed."""
        self._classes = None
        return super().train(mode)

    def evaluator(self, sets: Sequence[EvaluationSet]) -> Evaluator:
        """Average the metrics over the rows of each set."""
        if sets:
            self._use(next((each.prompts for each in sets if each.prompts), ()))
        return super().evaluator(sets)

    def predict(
        self, backbone: Backbone, batch: Batch, dataset: EvaluationSet | None = None
    ) -> list[Prediction]:
        """Return the likeliest classes and their probabilities."""
        if dataset is not None:
            self._use(dataset.prompts)
        return super().predict(backbone, batch, dataset)

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return cosine similarities times the learned scale, (B, C)."""
        values = batch.inputs[self.modality]
        if self._classes is None:
            self._classes = self._embed_classes(backbone, values.values.device)
        (features,), scale = backbone(batch.inputs, [ForwardPass(self.reads.modalities)])
        logits: Tensor = scale * features.embeddings[self.modality] @ self._classes.T
        return logits

    def forward(self, backbone: Backbone, batch: Batch) -> TaskOutput:
        """Raise an error: there is nothing to train."""
        raise UserError(
            "zero-shot classification trains nothing: use validate or test, or another task to fit"
        )

    def _use(self, prompts: tuple[Prompts, ...]) -> None:
        """Take the prompts of a set.

        Raises:
            UserError: There are none.
        """
        if not prompts:
            raise UserError(
                "the data name no prompts for the classes; set data.init_args.prompts, for instance "
                "['a photo of {}']"
            )
        if prompts is not self._prompts:
            self._prompts, self._classes = prompts, None

    def _embed_classes(self, backbone: Backbone, device: torch.device) -> Tensor:
        """Return the normalised mean of the embeddings of each class's prompts, (C, D)."""
        vectors = []
        for _, texts in self._prompts:
            padding = None if texts.padding is None else texts.padding.to(device)
            text = ModalityInput(texts.values.to(device), padding)
            vectors.append(backbone.embed({"text": text})["text"].float())
        numbers = torch.cat([numbers for numbers, _ in self._prompts]).to(device)
        return prompt_ensemble(torch.cat(vectors), numbers, len(self.classes))
