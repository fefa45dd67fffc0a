"""Training curves: losses by step, recalls by validation.

Losses are kept as tensors, so that no device is asked while it works.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor

from onepeace_pl.metrics import RetrievalResult


class HistoryState(TypedDict):
    """Curves as plain numbers.

    Attributes:
        losses: Name -> steps and values.
        sums: Name -> sum and number of the values since the last point.
        recalls: Name -> steps and values.
    """

    losses: dict[str, tuple[list[int], list[float]]]
    sums: dict[str, tuple[float, int]]
    recalls: dict[str, tuple[list[int], list[float]]]


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
        return torch.stack([v.float().cpu() for v in self.values]).tolist() if self.values else []


class History:
    """Collects curves; a long run is thinned to some hundred points by averaging.

    Args:
        points: Roughly how many points a curve has.
    """

    def __init__(self, points: int = 100) -> None:
        self.losses: dict[str, Curve] = {}
        self.recalls: dict[str, tuple[list[int], list[float]]] = {}
        self._points = points
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def due(self, step: int, total_steps: float) -> bool:
        """Whether a run of so many steps gets a point at this step; infinity if the number is unknown."""
        if total_steps < float("inf"):
            return step % max(1, int(total_steps) // self._points) == 0 or step >= total_steps
        # Without an end, points move apart by powers of two as the run goes on.
        return step % (1 << max(0, (step // self._points).bit_length() - 1)) == 0

    def add_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Add the values of a step; a point of the curve is the mean of all since the last point."""
        for name, value in losses.items():
            total, count = self._sums.get(name, (torch.zeros_like(value, dtype=torch.float32), 0))
            self._sums[name] = (total.to(value.device) + value.detach().float(), count + 1)

    def point(self, step: int) -> None:
        """Put a point on every curve, from what was taken in since the last."""
        for name, (total, count) in self._sums.items():
            curve = self.losses.setdefault(name, Curve())
            curve.steps.append(step)
            curve.values.append(total / count)
        self._sums.clear()

    def up_to(self, step: int) -> History:
        """Return a copy that ends in a point at this step, made of what was taken in since the last."""
        ended = copy.deepcopy(self)
        ended.point(step)
        return ended

    def add_results(self, step: int, results: Mapping[str, RetrievalResult]) -> None:
        """Add the R@1 of every direction after a validation; partial results are ignored."""
        for result in results.values():
            for name, direction in result.directions.items():
                if not result.partial:
                    steps, values = self.recalls.setdefault(f"{result.gallery}: {name}", ([], []))
                    steps.append(step)
                    values.append(direction.recall[min(direction.recall)])

    def state_dict(self) -> HistoryState:
        """Return everything as plain numbers, so that a run that goes on later has one report."""
        losses = {name: (list(curve.steps), curve.numbers()) for name, curve in self.losses.items()}
        return {
            "losses": losses,
            "sums": {name: (float(total), count) for name, (total, count) in self._sums.items()},
            "recalls": {name: (list(s), list(v)) for name, (s, v) in self.recalls.items()},
        }

    def load_state_dict(self, state: HistoryState) -> None:
        """Restore the state of :meth:`state_dict`."""
        for name, (steps, values) in state["losses"].items():
            self.losses[name] = Curve(list(steps), list(torch.tensor(values)))
        self._sums = {name: (torch.tensor(total), count) for name, (total, count) in state["sums"].items()}
        self.recalls = {
            name: (list(steps), list(values)) for name, (steps, values) in state["recalls"].items()
        }

    @staticmethod
    def ends(curve: Curve) -> tuple[float, float]:
        """Return the means of the first and of the last twentieth of a curve, at least one point each."""
        numbers = curve.numbers()
        part = max(1, len(numbers) // 20)
        return sum(numbers[:part]) / part, sum(numbers[-part:]) / part
