"""Length, precision and container of vectors.

Shapes: N vectors, D width.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.backbone.matryoshka import truncate
from onepeace_pl.hub.quantization import Precision, check_precision, quantize_embeddings

Array = NDArray[np.float32 | np.int8 | np.uint8]
"""Vectors of numpy."""


@dataclass(frozen=True)
class Form:
    """Form of vectors.

    Attributes:
        dim: Length that they are cut to.
        precision: Type of their values.
        ranges: Ranges of ``int8`` and ``uint8``.
        normalize: Normalise again after the cut.
    """

    dim: int
    precision: Precision = "float32"
    ranges: Tensor | None = None
    normalize: bool = True

    def check(self, width: int, trained: Sequence[int]) -> None:
        """Refuse what vectors of a width cannot have, before anything is embedded; warn of lengths without training.

        Args:
            width: Width D of the model's vectors.
            trained: Lengths that the model was trained at; empty for D alone.

        Raises:
            UserError: Length, precision or ranges cannot be.
        """
        check_precision(self.precision)
        self.apply(torch.ones(1, width))
        if self.dim not in (*trained, width):
            warnings.warn(
                f"truncate_dim={self.dim}: the model was trained at {', '.join(map(str, trained or (width,)))} values; "
                "train with matryoshka_dims for others",
                stacklevel=3,
            )

    def apply(self, vectors: Tensor) -> Tensor:
        """Return unit vectors (..., D) in this form."""
        cut = truncate(vectors, self.dim)
        if not self.normalize:
            cut = vectors[..., : self.dim]
        return quantize_embeddings(cut, self.precision, self.ranges)
