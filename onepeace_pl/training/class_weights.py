"""Class weights of a loss, for imbalanced classes: given, or from the frequencies in the training rows.

Shapes: C classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.source import Source, labels_of
from onepeace_pl.errors import UserError, nearest

ClassWeightOption = Literal["balanced"] | list[float] | dict[str, float]
"""``balanced``: from the frequencies of the training rows; a weight for each class, in the order of their indices or
by name (1 for those not named)."""


class ClassWeights(ABC):
    """Base of weights (C,) that a loss multiplies its terms by.

    They are a function of options and training rows alone, so every process of a run, and every run that resumes it,
    has the same; checkpoints do not hold them.

    Args:
        value: The option.
        classes: Class names in the order of their indices.

    Attributes:
        option: Name of the option, for messages.

    Raises:
        UserError: Weights do not fit the classes, or are no weights.
    """

    option: ClassVar[str]

    def __init__(self, value: ClassWeightOption, classes: Sequence[str]) -> None:
        self._balanced = value == "balanced"
        self._classes = tuple(classes)
        given = None if isinstance(value, str) else self._complete(value)
        self._weights = None if given is None else torch.tensor(given)

    @abstractmethod
    def balanced(self, counts: Tensor, rows: int) -> Tensor:
        """Return balanced weights (C,).

        Args:
            counts: (C,) float64, training rows of each class; none is 0.
            rows: Number of training rows.
        """

    def count(self, train: Source, read_target: TargetReader) -> None:
        """Count the classes of the training rows, where weights are balanced; rows with invalid labels are left out.

        Args:
            train: The training rows, of which only labels are read.
            read_target: Reads a class index () or multi-hot classes (C,).

        Raises:
            UserError: No row has a class.
        """
        if not self._balanced:
            return
        counts, rows = torch.zeros(len(self._classes), dtype=torch.float64), 0
        labels = labels_of(train)
        while True:
            try:
                target = torch.as_tensor(read_target(next(labels)))
            except StopIteration:
                break
            except (ValueError, TypeError, OSError):  # the check before training has told of it
                continue
            rows += 1
            if target.ndim:
                counts += target
            else:
                counts[target] += 1
        if not counts.any():
            raise UserError(f"{self.option}: balanced: no training row has a class; give weights or null")
        known = counts > 0
        weights = torch.ones_like(counts)  # of a class without rows, whose weight is never used
        weights[known] = self.balanced(counts[known], rows)
        self._weights = weights.float()

    def on(self, device: torch.device) -> Tensor:
        """Return the weights (C,) on a device.

        Raises:
            UserError: Balanced weights whose training rows were never counted.
        """
        if self._weights is None:
            raise UserError(
                f"{self.option}: balanced takes the classes of the training rows of a TaskDataModule; give the "
                "Trainer one, or list the weights"
            )
        if self._weights.device != device:
            self._weights = self._weights.to(device)
        return self._weights

    def _complete(self, value: Sequence[float] | Mapping[str, float]) -> list[float]:
        if isinstance(value, Mapping):
            for name in value:
                if name not in self._classes:
                    raise UserError(f"{self.option}: no class {name!r}; {nearest(name, self._classes)}")
            weights = [float(value.get(name, 1.0)) for name in self._classes]
        else:
            weights = [float(weight) for weight in value]
        if len(weights) != len(self._classes):
            raise UserError(
                f"{self.option}: {len(weights)} weights for {len(self._classes)} classes; give one for each, or "
                "name: weight"
            )
        wrong = next((weight for weight in weights if not 0 <= weight < math.inf), None)
        if wrong is not None or not any(weights):
            said = "all weights are 0" if wrong is None else f"a weight of {wrong}"
            raise UserError(f"{self.option}: {said}; give finite weights of at least 0, one of them above 0")
        return weights


class ClassWeight(ClassWeights):
    """Class weights of cross-entropy. Balanced: rows / (classes that occur x rows of the class), as in scikit-learn.

    Their mean over the training rows is 1, so the scale of the loss stays.
    """

    option = "class_weight"

    def balanced(self, counts: Tensor, rows: int) -> Tensor:
        """Return weights inversely proportional to the frequencies."""
        return counts.sum() / (len(counts) * counts)


class PosWeight(ClassWeights):
    """Weights of positives in binary cross-entropy. Balanced: rows without the class / rows with it, as in PyTorch.

    Positives and negatives of each class then have equal weight over the training rows.
    """

    option = "pos_weight"

    def balanced(self, counts: Tensor, rows: int) -> Tensor:
        """Return the ratio of negatives to positives of each class."""
        return (rows - counts) / counts
