"""Results by class: precision, recall, F1, confusions, precision-recall curves.

Shapes: N rows of a set, C classes, P points of a curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.data.evaluation.sets import Reference
from onepeace_pl.metrics.bootstrap import (
    Interval,
    f1_bounds,
    f1_macro_interval,
    mean_of_proportions_interval,
    proportion_bounds,
)

CURVES = 10
"""Classes whose curves are kept; of more classes those with the best and the worst average precision."""
INTERVALS = 200
"""Classes up to which there are intervals: they take time, and of a class with few rows they say little."""
MICRO = 1_000_000
"""Scores from which the curve of all classes together is drawn; of more an evenly spaced part."""
HALF = 0.5
"""Probability from which a class of several is predicted."""
POINTS = 200
"""Points of a curve."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ClassMetric:
    """A metric of each class, with its 95 % bootstrap interval where that is known.

    Attributes:
        values: (C,), NaN where it is not defined.
        low: (C,) lower bounds.
        high: (C,) upper bounds.
    """

    values: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Confusion:
    """Rows of one class that were taken for another.

    Attributes:
        true: Index of the true class.
        predicted: Index of the predicted class.
        count: Number of rows.
    """

    true: int
    predicted: int
    count: int


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision against recall at falling thresholds.

    Attributes:
        name: The class, or ``micro-average`` of all.
        precision: (P,).
        recall: (P,).
        average_precision: Area under the curve.
        prevalence: Share of positives, which is the precision of random scores.
    """

    name: str
    precision: Floats
    recall: Floats
    average_precision: float
    prevalence: float


@dataclass(frozen=True)
class ByClass:
    """Results of an evaluation set by class.

    Attributes:
        classes: Class names in the order of their indices.
        support: (C,) number of rows (of pixels, of objects) of each class.
        metrics: Metrics of the classes by name.
        unit: What is counted, such as ``rows``.
        pairs: True class, predicted class and number of rows of each pair that occurs, (pairs, 3); None where a row
            may have several classes.
        curves: Precision-recall curves; empty where there are none.
        overall: Metrics of the set that follow from those of the classes, such as ``balanced_accuracy``.
        intervals: 95 % bootstrap intervals of some of them.
        references: Chance and baseline of some of them.
    """

    classes: tuple[str, ...]
    support: Counts
    metrics: Mapping[str, ClassMetric]
    unit: str = "rows"
    pairs: Counts | None = None
    curves: tuple[PrecisionRecallCurve, ...] = ()
    overall: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)

    @classmethod
    def of_indices(
        cls,
        predicted: Counts,
        true: Counts,
        classes: Sequence[str],
        scores: NDArray[np.floating] | None = None,
    ) -> ByClass:
        """Return the results of classification with one class a row.

        Args:
            predicted: (N,) predicted class indices.
            true: (N,) true class indices.
            classes: Class names.
            scores: (N,) scores of the first class of two, for its precision-recall curve.
        """
        counts, pairs = ClassCounts.of_indices(predicted, true, len(classes)), count_pairs(predicted, true)
        curves: tuple[PrecisionRecallCurve, ...] = ()
        if scores is not None:
            marks = torch.from_numpy(true == 0)[:, None]
            curves = precision_recall_curves(torch.from_numpy(scores)[:, None], marks, classes[:1])
        shares, occurring = counts.support / counts.rows, counts.support > 0
        chance = 1 / len(classes)
        return cls(
            tuple(classes),
            counts.support,
            counts.metrics(),
            pairs=pairs,
            curves=curves,
            overall={"balanced_accuracy": counts.balanced_accuracy, "f1_macro": counts.f1_macro},
            intervals=_intervals(counts, pairs),
            references={
                "balanced_accuracy": Reference(chance, 1 / int(occurring.sum())),
                "f1_macro": Reference(
                    float((2 * shares * chance / (shares + chance)).mean()),
                    float(2 * shares.max() / (1 + shares.max()) / occurring.sum()),
                ),
            },
        )

    @classmethod
    def of_marks(
        cls, probabilities: NDArray[np.floating], true: NDArray[np.bool_], classes: Sequence[str]
    ) -> ByClass:
        """Return the results of multi-label classification; from a probability of a half a class is predicted.

        Args:
            probabilities: (N, C).
            true: (N, C).
            classes: Class names.
        """
        counts = ClassCounts.of_marks(probabilities >= HALF, true)
        scores, targets = torch.from_numpy(probabilities), torch.from_numpy(true)
        shares = counts.support / counts.rows
        shares = shares[shares > 0]
        drawn, constant = 2 * shares * HALF / (shares + HALF), 2 * shares / (1 + shares)
        known = len(shares) > 0
        return cls(
            tuple(classes),
            counts.support,
            {"AP": ClassMetric(average_precisions(scores, targets).numpy()), **counts.metrics()},
            curves=precision_recall_curves(scores, targets, classes),
            overall={"f1_macro": counts.f1_macro},
            references={"f1_macro": Reference(float(drawn.mean()), float(constant.mean()))} if known else {},
        )

    def confusions(self, most: int) -> list[Confusion]:
        """Return the pairs of classes that are confused most often, the most frequent first."""
        if self.pairs is None:
            return []
        wrong = self.pairs[self.pairs[:, 0] != self.pairs[:, 1]]
        return [Confusion(*map(int, pair)) for pair in wrong[np.argsort(-wrong[:, 2], kind="stable")][:most]]

    def matrix(self) -> Counts:
        """Return the confusion matrix (C, C): true classes by predicted ones.

        Raises:
            ValueError: A row may have several classes.
        """
        if self.pairs is None:
            raise ValueError("rows of several classes have no confusion matrix")
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        matrix[self.pairs[:, 0], self.pairs[:, 1]] = self.pairs[:, 2]
        return matrix


@dataclass(frozen=True)
class ClassCounts:
    """True positives, false positives and false negatives of each class.

    Attributes:
        true_positives: (C,).
        false_positives: (C,).
        false_negatives: (C,).
        rows: Number of rows.
    """

    true_positives: Counts
    false_positives: Counts
    false_negatives: Counts
    rows: int

    @classmethod
    def of_indices(cls, predicted: Counts, true: Counts, classes: int) -> ClassCounts:
        """Count class indices (N,).

        torchmetrics counts by way of the confusion matrix, (C, C), too large for tens of thousands of classes.
        """
        hits = np.bincount(true[predicted == true], minlength=classes)
        return cls(
            hits,
            np.bincount(predicted, minlength=classes) - hits,
            np.bincount(true, minlength=classes) - hits,
            len(true),
        )

    @classmethod
    def of_marks(cls, predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> ClassCounts:
        """Count multi-hot classes (N, C)."""
        hits = (predicted & true).sum(0)
        return cls(hits, predicted.sum(0) - hits, true.sum(0) - hits, len(true))

    @property
    def support(self) -> Counts:
        """Number of rows of each class, (C,)."""
        return self.true_positives + self.false_negatives

    @property
    def f1(self) -> Floats:
        """F1 score of each class, (C,); NaN for a class that neither occurs nor is predicted."""
        return _ratio(
            2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def f1_macro(self) -> float:
        """Mean of the F1 scores of the classes that occur or are predicted, as in torchmetrics and scikit-learn."""
        return _mean(self.f1)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur, as in scikit-learn."""
        return _mean(_ratio(self.true_positives, self.support))

    def metrics(self) -> dict[str, ClassMetric]:
        """Return ``precision``, ``recall`` and ``F1`` of each class, of few classes with intervals."""
        hits, predicted = self.true_positives, self.true_positives + self.false_positives
        shares = {"precision": (hits, predicted), "recall": (hits, self.support)}
        if len(hits) > INTERVALS:
            return {
                **{name: ClassMetric(_ratio(*each)) for name, each in shares.items()},
                "F1": ClassMetric(self.f1),
            }
        f1 = f1_bounds(hits, self.false_positives, self.false_negatives, self.rows)
        return {
            **{name: ClassMetric(_ratio(*each), *proportion_bounds(*each)) for name, each in shares.items()},
            "F1": ClassMetric(self.f1, *f1),
        }


def count_pairs(predicted: Counts, true: Counts) -> Counts:
    """Return true class, predicted class and number of rows of each pair that occurs, (pairs, 3)."""
    pairs, counts = np.unique(np.stack([true, predicted], 1), axis=0, return_counts=True)
    return np.concatenate([pairs, counts[:, None]], 1)


def average_precisions(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the average precision of each class, (C,) float64; NaN for classes that do not occur.

    Args:
        scores: (N, C), probabilities or logits.
        targets: (N, C), 0 or 1.
    """
    from torchmetrics.functional.classification import binary_average_precision

    found = torch.full((scores.shape[1],), torch.nan, dtype=torch.float64)
    for number in targets.sum(0).nonzero()[:, 0].tolist():
        found[number] = binary_average_precision(scores[:, number], targets[:, number].long()).double()
    return found


def precision_recall_curves(
    scores: Tensor, targets: Tensor, classes: Sequence[str]
) -> tuple[PrecisionRecallCurve, ...]:
    """Return the curves of classes that occur, the best first, after the micro-average of several.

    Args:
        scores: (N, C), probabilities or logits.
        targets: (N, C), 0 or 1.
        classes: Class names.
    """
    precisions = average_precisions(scores, targets).numpy()
    order = np.argsort(-precisions, kind="stable")  # NaN goes to the end
    order = order[: int((~np.isnan(precisions)).sum())]
    if len(order) > CURVES:
        order = np.concatenate([order[: CURVES // 2], order[-(CURVES - CURVES // 2) :]])
    curves = [_curve(classes[number], scores[:, number], targets[:, number]) for number in order]
    if len(order) < 2:
        return tuple(curves)
    step = -(-scores.numel() // MICRO)
    return (_curve("micro-average", scores[::step].flatten(), targets[::step].flatten()), *curves)


def _curve(name: str, scores: Tensor, targets: Tensor) -> PrecisionRecallCurve:
    from torchmetrics.functional.classification import binary_average_precision, binary_precision_recall_curve

    marks = targets.long()
    precision, recall, _ = binary_precision_recall_curve(scores, marks)
    kept = np.unique(np.linspace(0, len(recall) - 1, min(POINTS, len(recall))).round().astype(int))
    return PrecisionRecallCurve(
        name,
        precision.double().numpy()[kept],
        recall.double().numpy()[kept],
        float(binary_average_precision(scores, marks)),
        float(marks.double().mean()),
    )


def _intervals(counts: ClassCounts, pairs: Counts) -> dict[str, Interval]:
    """Return the intervals of balanced accuracy and macro F1, of few classes."""
    if len(counts.support) > INTERVALS:
        return {}
    occurs = counts.support > 0
    return {
        "balanced_accuracy": mean_of_proportions_interval(
            counts.true_positives[occurs], counts.support[occurs]
        ),
        "f1_macro": f1_macro_interval(pairs, counts.f1_macro),
    }


def _ratio(part: Counts, whole: Counts) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
