"""AdamW with the hyper-parameters of the paper's pretraining, and optionally fairseq's placement of epsilon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, overload

import torch
from torch.optim.optimizer import ParamsT


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW with the defaults of arXiv 2305.11172, appendix.

    PyTorch adds epsilon to the bias-corrected root of the second moment, ``sqrt(v / (1 - beta2^t)) + eps``. The paper's
    reference implementation adds it before the correction, ``(sqrt(v) + eps) / sqrt(1 - beta2^t)``, which is the
    epsilon-hat of Adam's authors (arXiv 1412.6980, end of section 2), fairseq's and TensorFlow's. With
    ``eps_before_bias_correction`` the update is the latter: PyTorch's own kernels run, single, foreach or fused, on
    whole and on sharded parameters, with the epsilon ``eps / sqrt(1 - beta2^t)`` of the step. It matters where
    gradients are as small as ``eps``, and in the first steps. This epsilon is a Python float, so a CUDA graph cannot
    capture the update.

    Args:
        params: Parameters or parameter groups.
        lr: Peak learning rate.
        betas: Decay rates of both moments.
        eps: Added to the root of the second moment.
        weight_decay: Decoupled weight decay.
        fused: Fused kernel; None takes PyTorch's default.
        eps_before_bias_correction: Add ``eps`` to the uncorrected root, as the reference implementation does. The
            optimiser state does not depend on it, so a run may be resumed with the other.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.05,
        fused: bool | None = None,
        eps_before_bias_correction: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, fused=fused)
        self.eps_before_bias_correction = eps_before_bias_correction
        # The fused kernel can unscale float16 gradients by itself, but Lightning then rejects clipping. Without
        # this flag the gradient scaler unscales before clipping.
        self._step_supports_amp_scaling = False

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Perform one optimisation step; returns the result of ``closure``, which computes loss and gradients."""
        loss: float | None = None
        if not self.eps_before_bias_correction:
            loss = super().step(closure)
            return loss
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        self.param_groups = self._groups_with_epsilon_of_step()
        try:
            _ADAMW_STEP(self)
        finally:
            self.param_groups = groups
        return loss

    def _groups_with_epsilon_of_step(self) -> list[dict[str, Any]]:
        """Split parameter groups by step count: a batch without one modality leaves its parameters behind."""
        with_grad = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        stateful = [p for params in with_grad for p in params if "step" in self.state.get(p, {})]
        # one transfer: the fused kernel keeps step counts on the device
        taken = torch.stack([self.state[p]["step"] for p in stateful]).tolist() if stateful else []
        steps = dict(zip(stateful, taken, strict=True))
        split = []
        for group, params in zip(self.param_groups, with_grad, strict=True):
            parts = defaultdict(list)
            for p in params:
                parts[steps.get(p, 0) + 1].append(p)
            for step, part in parts.items():
                eps = group["eps"] / (1 - group["betas"][1] ** step) ** 0.5
                split.append({**group, "params": part, "eps": eps})
        return split


def _step_without_hooks() -> Callable[[torch.optim.AdamW], Any]:
    """Return PyTorch's step without the profiling hook that it wraps around a class's step: ours has it already."""
    step = torch.optim.AdamW.step
    attributes = vars(step)
    return attributes["__wrapped__"] if attributes.get("hooked") else step


_ADAMW_STEP: Final = _step_without_hooks()
