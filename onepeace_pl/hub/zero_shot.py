"""Zero-shot classification of embeddings by texts that name the classes.

Shapes: N items, C labels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from onepeace_pl.data.evaluation.prompts import fill_templates, prompt_ensemble
from onepeace_pl.errors import UserError

LABEL_ALONE = ("{}",)


class ScoredLabel(TypedDict):
    """A label with its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class ZeroShotResult:
    """Probabilities of labels for each item.

    Attributes:
        labels: The C labels.
        probabilities: (N, C) float32, softmax of the cosine similarities times the model's logit scale.
        similarities: (N, C) float32, cosine similarity to each label's averaged prompts.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    similarities: Tensor

    @property
    def predicted(self) -> list[str]:
        """The likeliest label of each item."""
        return [self.labels[index] for index in self.probabilities.argmax(-1).tolist()]

    def top(self, k: int = 5) -> list[list[ScoredLabel]]:
        """Return the k likeliest labels of each item, likeliest first; all where there are fewer.

        Raises:
            UserError: k is below 1.
        """
        if k < 1:
            raise UserError(f"k={k} must be at least 1")
        values, indices = self.probabilities.topk(min(k, len(self.labels)), dim=-1)
        return [
            [{"label": self.labels[i], "probability": p} for p, i in zip(row, index, strict=True)]
            for row, index in zip(values.tolist(), indices.tolist(), strict=True)
        ]

    def to_dict(self) -> dict[str, list[str] | list[list[float]]]:
        """Return labels, probabilities and predictions as plain data, for JSON."""
        return {
            "labels": list(self.labels),
            "predicted": self.predicted,
            "probabilities": self.probabilities.tolist(),
        }


def sentences(labels: Sequence[str], prompts: Sequence[str]) -> list[tuple[int, str]]:
    """Return the sentences that name each label, with the label's index.

    Raises:
        UserError: No label, an empty or repeated one, no prompt, or one without ``{}``.
    """
    if isinstance(labels, str) or isinstance(prompts, str):
        raise UserError("labels and prompts are lists of texts, not one text; write [...]")
    if not labels or not prompts:
        raise UserError(f"no {'labels' if not labels else 'prompts'}; give at least one")
    for label in labels:
        if not label.strip() or list(labels).count(label) > 1:
            raise UserError(f"labels: {label!r} is {'repeated' if label.strip() else 'empty'}")
    return fill_templates(prompts, labels)


def score_labels(
    items: Tensor, texts: Tensor, classes: Sequence[int], labels: Sequence[str], scale: float
) -> ZeroShotResult:
    """Score embeddings against the averaged prompts of each label.

    Args:
        items: (N, D) unit vectors to classify.
        texts: (M, D) unit vectors of the sentences.
        classes: Label's index of each sentence.
        labels: The C labels.
        scale: Factor of the similarities in the softmax.
    """
    weights = prompt_ensemble(texts, torch.tensor(classes), len(labels))
    similarities = items @ weights.T
    return ZeroShotResult(tuple(labels), (scale * similarities).softmax(-1), similarities)
