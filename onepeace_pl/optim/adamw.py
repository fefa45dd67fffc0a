"""AdamW with the settings of the paper's pretraining, and its reference implementation's place for epsilon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW with the defaults of arXiv 2305.11172, appendix.

    PyTorch adds epsilon to the bias-corrected root of the second moment, ``sqrt(v / (1 - beta2^t)) + eps``. The paper's
    reference implementation adds it before the correction, ``(sqrt(v) + eps) / sqrt(1 - beta2^t)``, which is the
    epsilon-hat of Adam's authors (arXiv 1412.6980, end of section 2), fairseq's and TensorFlow's. With
    ``eps_before_bias_correction`` the update is the latter: PyTorch's own kernels run, single, foreach or fused, on
    whole and on sharded parameters, with the epsilon ``eps / sqrt(1 - beta2^t)`` of the step. It matters where
    gradients are as small as ``eps``, and in the first steps. That epsilon is a number, not a tensor, so a CUDA graph
    cannot capture the update.

    Args:
        params: Parameters or groups.
        lr: Peak learning rate.
        betas: Decay of both moments.
        eps: Added to the root of the second moment.
        weight_decay: Decoupled weight decay.
        fused: One kernel for all parameters; None leaves the choice to PyTorch.
        eps_before_bias_correction: Add ``eps`` to the uncorrected root, as the reference implementation does. The state
            is the same either way, so a run may be resumed with the other.
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
        # The fused kernel offers to unscale float16 gradients by itself, for which Lightning refuses to clip them.
        # Without the offer the scaler does it before clipping.
        self._step_supports_amp_scaling = False

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; ``closure`` computes loss and gradients first and its result is returned."""
        if not self.eps_before_bias_correction:
            return super().step(closure)
        loss = None
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
        """Split the groups by the number of steps a parameter has had: not every batch reaches each of them."""
        given = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        known = [p for params in given for p in params if "step" in self.state.get(p, {})]
        # one transfer: the fused kernel keeps these on its device
        taken = torch.stack([self.state[p]["step"] for p in known]).tolist() if known else []
        steps = dict(zip(known, taken, strict=True))
        split = []
        for group, params in zip(self.param_groups, given, strict=True):
            parts = defaultdict(list)
            for p in params:
                parts[steps.get(p, 0) + 1].append(p)
            for step, part in parts.items():
                eps = group["eps"] / (1 - group["betas"][1] ** step) ** 0.5
                split.append({**group, "params": part, "eps": eps})
        return split


# without the hooks that PyTorch puts around the `step` of a class: they run around that of ours
_ADAMW_STEP: Callable[[torch.optim.AdamW], Any] = torch.optim.AdamW.step
if getattr(_ADAMW_STEP, "hooked", False):
    _ADAMW_STEP = _ADAMW_STEP.__wrapped__  # type: ignore[attr-defined]
