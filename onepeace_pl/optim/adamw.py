"""AdamW with the settings of the paper's pretraining."""

from __future__ import annotations

import torch
from torch.optim.optimizer import ParamsT


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW; only the defaults differ (arXiv 2305.11172, appendix).

    Args:
        params: Parameters or groups.
        lr: Peak learning rate.
        betas: Decay of both moments.
        eps: Added to the root of the second moment.
        weight_decay: Decoupled weight decay.
        fused: One kernel for all parameters; None leaves the choice to PyTorch.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.05,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, fused=fused)
        # The fused kernel offers to unscale float16 gradients by itself, for which Lightning refuses to clip them.
        # Without the offer the scaler does it before clipping.
        self._step_supports_amp_scaling = False
