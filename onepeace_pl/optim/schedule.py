"""Learning-rate schedules per update: linear warm-up, then cosine, polynomial or step decay."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from onepeace_pl.errors import UserError


class Schedule(ABC):
    """Learning-rate schedule with warm-up: base class.

    Args:
        warmup: Warm-up updates: a number (int), or a fraction of all updates (float in [0, 1]).
        lr_min: Minimum learning rate.

    Raises:
        UserError: An option is out of range.
    """

    def __init__(self, warmup: int | float = 0.1, lr_min: float = 1e-6) -> None:
        if isinstance(warmup, float) and not 0.0 <= warmup <= 1.0:
            raise UserError(
                f"warmup {warmup} is not a fraction in [0, 1]; for a number of updates write an integer"
            )
        if warmup < 0 or isinstance(warmup, bool):
            raise UserError(f"warmup must be a number of updates or a fraction of them, not {warmup}")
        if lr_min < 0:
            raise UserError(f"lr_min must not be negative, not {lr_min}")
        self.warmup = warmup
        self.lr_min = lr_min

    def warmup_steps(self, total: int) -> int:
        """Return the number of warm-up updates in a run of ``total`` updates."""
        return int(self.warmup * total) if isinstance(self.warmup, float) else self.warmup

    @abstractmethod
    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the learning rate of update ``step`` (from 0) of ``total``; constant after the last."""

    def __call__(self, optimizer: Optimizer, total: int) -> LambdaLR:
        """Return a scheduler of an optimiser, to be stepped after every update.

        The peak is the optimiser's own learning rate. Groups with ``lr_scale`` (see
        :func:`onepeace_pl.optim.build_optimizer`) scale the whole schedule, minimum included.

        Args:
            optimizer: Optimiser whose groups hold the scaled peak learning rate.
            total: Updates of the run.

        Returns:
            The scheduler.

        Raises:
            UserError: ``total`` is 0. (A warm-up longer than the run is a warning.)
        """
        if total < 1:
            raise UserError(f"a schedule needs at least one update, not {total}; set max_steps or max_epochs")
        if isinstance(self.warmup, int) and self.warmup > total:
            warnings.warn(
                f"warmup of {self.warmup} updates is longer than the run of {total}, so the peak rate is "
                "never reached; lower it or write a fraction such as 0.1",
                stacklevel=2,
            )
        peaks = [group["lr"] / group.get("lr_scale", 1.0) for group in optimizer.param_groups]
        # a partial has no state, so that checkpoints hold no object that needs pickle
        return LambdaLR(optimizer, [partial(_factor, self, total, peak) for peak in peaks])


def _factor(schedule: Schedule, total: int, peak: float, step: int) -> float:
    """Return the learning rate of an update as a fraction of the peak."""
    return schedule.lr(step, total, peak) / peak if peak else 0.0


class WarmupCosine(Schedule):
    """Linear warm-up from the minimum to the peak, then cosine decay to the minimum.

    With w warm-up updates of n: ``lr_min + step (lr_max - lr_min) / w``, then
    ``lr_min + (lr_max - lr_min) (1 + cos(pi (step - w) / (n - w))) / 2``. (The original starts a second
    period after its last update; here the minimum is kept.)

    Source: arXiv 2305.11172, section 4.1; docs/reference/pretraining.md.
    """

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the learning rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return self.lr_min + step * (lr_max - self.lr_min) / warmup
        if step >= total:
            return self.lr_min
        phase = math.pi * (step - warmup) / (total - warmup)
        return self.lr_min + 0.5 * (lr_max - self.lr_min) * (1 + math.cos(phase))


class WarmupPolynomial(Schedule):
    """Linear warm-up from 0 to the peak, then polynomial decay to the minimum.

    With w warm-up updates of n: ``step lr_max / w``, then
    ``lr_min + (lr_max - lr_min) ((n - step) / (n - w)) ** power``.

    Args:
        warmup: See :class:`Schedule`.
        lr_min: Minimum learning rate.
        power: Exponent; 1 is linear decay.
    """

    def __init__(self, warmup: int | float = 0.1, lr_min: float = 0.0, power: float = 1.0) -> None:
        super().__init__(warmup, lr_min)
        self.power = power

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the learning rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return step * lr_max / warmup
        if step >= total:
            return self.lr_min
        left = (total - step) / (total - warmup)
        return self.lr_min + (lr_max - self.lr_min) * math.pow(left, self.power)


class WarmupSteps(Schedule):
    """Linear warm-up from 0 to the peak, then multi-step decay: a factor at each milestone.

    Args:
        warmup: See :class:`Schedule`.
        milestones: Ascending updates, or fractions of all updates, at which the learning rate is multiplied.
        factor: Factor at each milestone.
    """

    def __init__(
        self, warmup: int | float = 0.1, milestones: Sequence[int | float] = (0.89, 0.96), factor: float = 0.1
    ) -> None:
        super().__init__(warmup, 0.0)
        if list(milestones) != sorted(milestones):
            raise UserError(f"milestones {list(milestones)} must ascend")
        self.milestones, self.factor = tuple(milestones), factor

    def lr(self, step: int, total: int, lr_max: float) -> float:
        """Return the learning rate of update ``step`` of ``total``."""
        warmup = self.warmup_steps(total)
        if step < warmup:
            return step * lr_max / warmup
        places = (m * total if isinstance(m, float) else m for m in self.milestones)
        return lr_max * self.factor ** sum(step >= place for place in places)
