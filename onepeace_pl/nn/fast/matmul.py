"""Float32 matrix products on CPU by oneDNN, where that is as exact and faster.

On processors where PyTorch's own library runs below their speed (AMD's, for one), allowing oneDNN its lower internal
precision routes float32 products to it, and it still computes them in float32. On a processor with bfloat16 matrix
tiles the same switch really rounds to bfloat16. Which of the two holds is measured, not assumed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

log = logging.getLogger(__name__)

TOLERANCE = 2e-6  # float32 products are wrong by some 3e-7, bfloat16 ones by 2e-3
SIZE = 512


@dataclass(frozen=True)
class FastFloat32:
    """Result of :func:`enable_fast_float32`.

    Attributes:
        enabled: Whether products now go that way.
        error: Relative error of a product that went that way, against float64.
        before: The same as PyTorch does it by itself.
    """

    enabled: bool
    error: float
    before: float

    def __str__(self) -> str:
        verdict = "on" if self.enabled else f"off, since it is not exact to {TOLERANCE:g} on this processor"
        return f"float32 by way of oneDNN: {verdict} (error {self.error:.1e}, by itself {self.before:.1e})"


def enable_fast_float32() -> FastFloat32:
    """Route float32 products on CPU to oneDNN if a product of random matrices stays exact; else change nothing.

    The switch is PyTorch's and holds for the whole process.
    """
    before = _error()
    switch: Any = torch.backends.mkldnn  # its stubs do not know of products
    kept = switch.matmul.fp32_precision
    switch.matmul.fp32_precision = "bf16"
    error = _error()
    result = FastFloat32(error <= TOLERANCE, error, before)
    if not result.enabled:
        switch.matmul.fp32_precision = kept
    log.info("%s", result)
    return result


def _error() -> float:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, SIZE, SIZE, generator=generator, dtype=torch.float64)
    exact, found = a.float().double() @ b.float().double(), (a.float() @ b.float()).double()
    return float((found - exact).norm() / exact.norm())
