"""Learning-rate schedules by update: a linear warm-up, then a decay to a floor that is kept."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Schedule(ABC):
    """A curve of learning rates over the updates of a run. Its options are data, so a config can say it.

    Args:
        warmup: Updates of the warm-up: a number (int), or a share of all updates (float in [0, 1]).
        lr_min: Floor, in the unit of the learning rate.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(self, warmup: int | float = 0.1, lr_min: float = 1e-6) -> None:
        if isinstance(warmup, float) and not 0.0 <= warmup <= 1.0:
            raise ValueError(
                f"warmup {warmup} is not a share in [0, 1]; for a number of updates write an integer"
            )
        if warmup < 0 or isinstance(warmup, bool):
            raise ValueError(f"warmup must be a number of updates or a share of them, not {warmup}")
        if lr_min < 0:
            raise ValueError(f"lr_min must not be negative, not {lr_min}")
        self.warmup = warmup
        self.lr_min = lr_min

    def warmup_steps(self, total: int) -> int:
        """Return the number of warm-up updates in a run of ``total`` updates."""
        return int(self.warmup * total) if isinstance(self.warmup, float) else self.warmup

    @abstractmethod
    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the rate of update ``step``, counted from 0, of ``total``; the last rate is kept."""

    def __call__(self, optimizer: Optimizer, total: int) -> LambdaLR:
        """Attach the curve to an optimiser; to be stepped after every update.

        The peak is the optimiser's own rate. A group with ``lr_scale`` (see
        :func:`onepeace_pl.optim.build_optimizer`) follows the whole curve, floor included, times that scale.

        Args:
            optimizer: Its groups hold the peak rate, already scaled.
            total: Updates of the run.

        Returns:
            The scheduler.

        Raises:
            ValueError: If there is no update to schedule. (A warm-up longer than the run is only warned of.)
        """
        if total < 1:
            raise ValueError(
                f"a schedule needs at least one update, not {total}; set max_steps or max_epochs"
            )
        if isinstance(self.warmup, int) and self.warmup > total:
            warnings.warn(
                f"warmup of {self.warmup} updates is longer than the run of {total}, so the peak rate is "
                "never reached; lower it or write a share such as 0.1",
                stacklevel=2,
            )
        peaks = [group["lr"] / group.get("lr_scale", 1.0) for group in optimizer.param_groups]
        # a partial has no state of its own, so a checkpoint holds no object that only a pickle could make
        return LambdaLR(optimizer, [partial(_factor, self, total, peak) for peak in peaks])


def _factor(schedule: Schedule, total: int, peak: float, step: int) -> float:
    """Rate of an update as a share of the peak."""
    return schedule.lr(step, total, peak) / peak if peak else 0.0


class WarmupCosine(Schedule):
    """From the floor up to the peak in a line, back down along half a cosine, then the floor.

    With w warm-up updates of n: ``lr_min + step (lr_max - lr_min) / w``, then
    ``lr_min + (lr_max - lr_min) (1 + cos(pi (step - w) / (n - w))) / 2``. (The original starts a second
    period at its last update; nobody trains there, and here the floor is kept.)

    Source: arXiv 2305.11172 section 4.1; spec of pretraining, section 1.
    """

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return self.lr_min + step * (lr_max - self.lr_min) / warmup
        if step >= total:
            return self.lr_min
        phase = math.pi * (step - warmup) / (total - warmup)
        return self.lr_min + 0.5 * (lr_max - self.lr_min) * (1 + math.cos(phase))


class WarmupPolynomial(Schedule):
    """From 0 up to the peak in a line, down along a power of the share of updates left, then the floor.

    With w warm-up updates of n: ``step lr_max / w``, then
    ``lr_min + (lr_max - lr_min) ((n - step) / (n - w)) ** power``.

    Args:
        warmup: See :class:`Schedule`.
        lr_min: Floor.
        power: 1 is a straight line.
    """

    def __init__(self, warmup: int | float = 0.1, lr_min: float = 0.0, power: float = 1.0) -> None:
        super().__init__(warmup, lr_min)
        self.power = power

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return step * lr_max / warmup
        if step >= total:
            return self.lr_min
        left = (total - step) / (total - warmup)
        return self.lr_min + (lr_max - self.lr_min) * math.pow(left, self.power)


class WarmupSteps(Schedule):
    """From 0 up to the peak in a line, then flat, and lower by a factor from each milestone on.

    Args:
        warmup: See :class:`Schedule`.
        milestones: Updates, or shares of all updates, from which the rate is lower; ascending.
        factor: By which it is.
    """

    def __init__(
        self, warmup: int | float = 0.1, milestones: Sequence[int | float] = (0.89, 0.96), factor: float = 0.1
    ) -> None:
        super().__init__(warmup, 0.0)
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones {list(milestones)} must ascend")
        self.milestones, self.factor = tuple(milestones), factor

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return step * lr_max / warmup
        places = (m * total if isinstance(m, float) else m for m in self.milestones)
        return lr_max * self.factor ** sum(step >= place for place in places)
