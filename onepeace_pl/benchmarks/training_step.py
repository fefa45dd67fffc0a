"""One training step of an experiment on a resident batch: forward, backward and update, without a Trainer.

What a Trainer adds (loading, logging, callbacks) is not in it; nor is sharding: it is the step of one device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from onepeace_pl.data.batches import Batch
from onepeace_pl.errors import UserError
from onepeace_pl.optim.finite import gradient_norm
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.training.task import TaskOutput


@dataclass(frozen=True)
class Precision:
    """Dtypes of a step.

    Attributes:
        weights: Of parameters, gradients and optimiser state.
        autocast: Of autocast; None without it.
    """

    weights: torch.dtype = torch.float32
    autocast: torch.dtype | None = None

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the dtypes of a precision of Lightning's Trainer, such as ``bf16-mixed``.

        Raises:
            UserError: It is another one.
        """
        known = {
            "32-true": cls(),
            "bf16-mixed": cls(autocast=torch.bfloat16),
            "16-mixed": cls(autocast=torch.float16),
            "bf16-true": cls(torch.bfloat16),
            "16-true": cls(torch.float16),
        }
        if name not in known:
            raise UserError(f"trainer.precision {name!r} cannot be measured; there are {', '.join(known)}")
        return known[name]


class TrainingStep:
    """Forward pass, backward pass and update of an experiment.

    Args:
        experiment: With its model, on a device and in the dtype of the weights.
        batch: Training batch on the same device.
        precision: Dtypes.
        clip: Largest gradient norm, as ``trainer.gradient_clip_val``; None clips nothing.

    Attributes:
        logs: Scalars that the last step would log.
    """

    def __init__(
        self, experiment: Experiment, batch: Batch, precision: Precision, clip: float | None
    ) -> None:
        assert experiment.backbone is not None
        assert experiment.task is not None
        self.experiment, self.batch, self.precision, self.clip = experiment, batch, precision, clip
        self.backbone, self.task = experiment.backbone, experiment.task
        experiment.train()
        self.optimizer = experiment.build_optimizer()
        self.logs: dict[str, Tensor] = {}
        self.device = self.backbone.logit_scale.device

    def forward(self) -> Tensor:
        """Return the loss of the batch."""
        with self._autocast():
            output: TaskOutput = self.task(self.backbone, self.batch)
        self.experiment.guard.add(output.loss, self.batch.ids)
        self.logs = {"loss": output.loss.detach(), **output.logs}
        return output.loss

    def update(self) -> None:
        """Check the gradients, clip them, update the weights and drop the gradients."""
        norm = gradient_norm(self.experiment.parameters())
        if self.experiment.guard.passes(norm):
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.experiment.parameters(), self.clip)
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.backbone.clamp_logit_scale()

    def __call__(self) -> None:
        """Run all three."""
        torch.autograd.backward(self.forward())
        self.update()

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        dtype = self.precision.autocast
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            yield
