"""What happened during a run: losses by step, recalls by validation.

Losses are kept as tensors, so that no device is asked while it works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onepeace_pl.metrics import RetrievalResult


@dataclass
class Curve:
    """Values by step, each the mean of the steps since the last.

    Attributes:
        steps: Steps at which a value was taken.
        values: The values, scalars.
    """

    steps: list[int] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def numbers(self) -> list[float]:
        """Return the values on the host."""
        return torch.stack([v.float() for v in self.values]).tolist() if self.values else []


class History:
    """Collects curves; a long run is thinned to some hundred points by averaging.

    Args:
        points: Roughly how many points a curve may have.
    """

    def __init__(self, points: int = 400) -> None:
        self.losses: dict[str, Curve] = {}
        self.recalls: dict[str, tuple[list[int], list[float]]] = {}
        self._points = points
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def due(self, step: int, total_steps: float) -> bool:
        """Whether a run of so many steps (infinity where nobody knows) gets a point at this step."""
        every = int(total_steps) // self._points if total_steps < float("inf") else 1
        return step % max(1, every) == 0 or step >= total_steps

    def add_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Take in values of a step; a point of the curve is the mean of all since the last point."""
        for name, value in losses.items():
            total, count = self._sums.get(name, (torch.zeros_like(value, dtype=torch.float32), 0))
            self._sums[name] = (total + value.detach().float(), count + 1)

    def point(self, step: int) -> None:
        """Put a point on every curve, from what was taken in since the last."""
        for name, (total, count) in self._sums.items():
            curve = self.losses.setdefault(name, Curve())
            curve.steps.append(step)
            curve.values.append(total / count)
        self._sums.clear()

    def add_results(self, step: int, results: Mapping[str, RetrievalResult]) -> None:
        """Take in the R@1 of every direction after a validation; partial results are left out."""
        for result in results.values():
            for name, direction in result.directions.items():
                if not result.partial:
                    steps, values = self.recalls.setdefault(f"{result.gallery}: {name}", ([], []))
                    steps.append(step)
                    values.append(direction.recall[min(direction.recall)])

    @staticmethod
    def ends(curve: Curve) -> tuple[float, float]:
        """Return the means of the first and of the last twentieth of a curve, at least one point each."""
        numbers = curve.numbers()
        part = max(1, len(numbers) // 20)
        return sum(numbers[:part]) / part, sum(numbers[-part:]) / part
