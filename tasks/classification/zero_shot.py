"""Classification by words: the class whose sentence lies nearest (spec: tasks, section 5).

Shapes: B batch, C classes, T sentences a class, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.backbone.passes import StopAfter
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.evaluation.sets import EvaluationSet, Prompts
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.tasks.classification.task import Classification


class ZeroShotClassification(Classification):
    """Tells classes apart by the sentences that name them; nothing is trained.

    The data say the sentences (``prompts``); where there are several of a class, its vector is their normalised mean.

    Args:
        backbone: The backbone.
        data_info: Facts about the data; their classes are told apart.
        modality: What is classified.
        top: Also report how often the right class is among so many; 1 does not.
    """

    def __init__(
        self, backbone: Backbone, data_info: DataInfo, modality: str = "image", top: int = 5
    ) -> None:
        super().__init__(backbone, data_info, modality, top=top)
        del self.head  # words take its place
        self._prompts: tuple[Prompts, ...] = ()
        self._classes: Tensor | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is classified; the text of rows is not read."""
        return (self.modality,)

    @property
    def stop_after(self) -> StopAfter:
        """Vectors are compared."""
        return "projection"

    def start_evaluation(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget earlier results and vectors of classes."""
        super().start_evaluation(sets)
        self.start_prediction(sets)

    def start_prediction(self, sets: Sequence[EvaluationSet]) -> None:
        """Forget vectors of classes, and take the sentences of these sets.

        Raises:
            ValueError: The data name no sentences.
        """
        self._prompts, self._classes = next((each.prompts for each in sets if each.prompts), ()), None
        if sets and not self._prompts:
            raise ValueError(
                "the data name no sentences for the classes; set data.init_args.prompts, for instance "
                "['a photo of {}']"
            )

    def outputs(self, backbone: Backbone, batch: Batch) -> Tensor:
        """Return cosine similarities times the learnt scale, (B, C)."""
        values = batch.inputs[self.modality]
        if self._classes is None:
            self._classes = self._embed_classes(backbone, values.values.device)
        (features,), scale = backbone(batch.inputs, [ForwardPass(self.modalities)])
        return scale * features.embeddings[self.modality] @ self._classes.T  # type: ignore[no-any-return]

    def forward(self, backbone: Backbone, batch: Batch) -> Any:
        """Refuse to train."""
        raise ValueError(
            "zero-shot classification trains nothing: use validate or test, or another task to fit"
        )

    def _embed_classes(self, backbone: Backbone, device: Any) -> Tensor:
        """Return the normalised mean of the vectors of each class' texts, (C, D)."""
        sums = torch.zeros(len(self.classes), backbone.config.width, device=device)
        for numbers, texts in self._prompts:
            padding = None if texts.padding is None else texts.padding.to(device)
            given = ModalityInput(texts.values.to(device), padding)
            sums.index_add_(0, numbers.to(device), backbone.embed({"text": given})["text"].float())
        return F.normalize(sums, dim=-1)
